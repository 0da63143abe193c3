"""Pure functions from records to tables."""

FORMATS = ("html", "md", "tex", "csv", "json")
"""Of a report. Here, because the command line names them without importing what writes them."""
