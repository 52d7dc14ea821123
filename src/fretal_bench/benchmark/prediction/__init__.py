"""Detectors in use: what a cell, a step or a file holds judges one's own videos and pictures, or is exported."""
