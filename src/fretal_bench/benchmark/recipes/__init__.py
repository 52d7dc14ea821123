"""Recipes: what training is, the same for every strategy; model, augmentation and training loop."""
