"""The page at the admin port: what it shows, how it stays live, and its files."""
