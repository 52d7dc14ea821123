"""A detector that a user brings, adapted to a new kind of fake without its old training data."""
