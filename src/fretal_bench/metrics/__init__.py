"""Metrics: pure functions from scores to numbers, from matrices to continual metrics, from seeds to intervals."""
