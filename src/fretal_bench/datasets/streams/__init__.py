"""Streams: ordered domains of crop stores with a protocol, built in or from a TOML file."""
