"""What the runs measured: rows, tables, statistics, plots and reports. Reads files, imports no torch."""
