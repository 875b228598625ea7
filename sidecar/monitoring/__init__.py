"""Rules, dashboard and documentation of the metrics, written from the metrics themselves."""
