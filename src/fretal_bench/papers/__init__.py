"""Published tables: which cells one needs, running them, and their values beside the published ones."""
