"""Published tables: which cells one needs, running them, and their values next to the published ones."""
