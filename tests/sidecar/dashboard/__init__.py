"""What serves the dashboard, without a browser."""
