"""The runner: from a call to a plan of cells, their steps trained and kept in a result folder."""
