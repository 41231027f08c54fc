"""Weights files: find, fetch, read, check, convert and write them."""
