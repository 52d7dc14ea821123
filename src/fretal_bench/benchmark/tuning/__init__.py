"""The search for hyperparameters on validation data, and the recipe file that it writes."""
