"""What surrounds a run on the command line: sweeps, the console, error messages, the UI."""
