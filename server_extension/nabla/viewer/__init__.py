"""Notebooks made by anybody as HTML that can do nothing; rendered in a process of its own (`python -m`)."""
