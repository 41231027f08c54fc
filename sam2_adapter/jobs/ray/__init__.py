"""Prediction over a Ray cluster; the only importer of ray, pyarrow and fsspec."""
