"""What a challenger must pass before it meets traffic."""
