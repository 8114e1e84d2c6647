"""The one place that states the version; setup.py, package.json and the chart are checked against it."""

__version__ = "0.1.0"
