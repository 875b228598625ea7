"""Load and the side-by-side benchmark; see README.md on how to read the numbers."""
