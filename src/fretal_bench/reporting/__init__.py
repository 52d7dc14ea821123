"""Reporting: results -> a verdict, tables, plots and one HTML page."""
