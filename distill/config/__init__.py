"""What a run may say: typed options with ranges, and the YAML tree they come from. Imports no torch."""
