"""Prediction over the machines of a Ray cluster: images by path or URL in, Parquet with run-length encoded masks out."""
