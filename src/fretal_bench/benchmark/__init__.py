"""What to run and running it: recipe, plan, one cell, executors, the result folder."""
