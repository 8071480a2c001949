"""Waypost: customer-data events in, HTTP destinations out, each destination a YAML file."""

__version__ = "0.1.0"
