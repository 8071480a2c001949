"""The version of Waypost: the only place that says it beside pyproject.toml."""

__version__ = "0.1.0"
