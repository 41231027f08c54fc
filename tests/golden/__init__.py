"""Reference outputs of the official `sam2` package; see `make_golden.py`."""
