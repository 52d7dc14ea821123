"""Runs on Ray clusters that lose workers, machines and heads: ``tox -e ray``."""
