"""The networks: one file per family, found by the name it registers."""
