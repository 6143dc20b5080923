"""The makers of all tables."""
