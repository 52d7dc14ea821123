"""Detectors as files: weights, the record beside them, and the model with two outputs that both make."""
