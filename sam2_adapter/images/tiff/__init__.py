"""TIFF files in the layouts that Pillow does not read, or reads wrong."""
