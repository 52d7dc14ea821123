"""The fuzzer: damaged files of every kind, read by the whole command, and what must hold of each reading."""
