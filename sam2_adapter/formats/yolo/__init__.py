"""YOLO segmentation: data sets, and results as text files."""
