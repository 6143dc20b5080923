"""Asking trained models: one expression, or a file of problems from elsewhere."""
