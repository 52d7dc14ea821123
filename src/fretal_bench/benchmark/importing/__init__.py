"""Scores of a method that ran elsewhere: a CSV read in batches, its rows checked, and a result folder made of them."""
