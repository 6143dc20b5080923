"""The makers of all charts."""
