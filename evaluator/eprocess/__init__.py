"""E-processes, one family a file, each with its theorem."""
