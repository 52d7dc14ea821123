"""The `bench` command: one file a command; each reads the call, calls the suite and prints."""
