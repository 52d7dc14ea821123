"""The crop store: faces as a memory map with an index."""
