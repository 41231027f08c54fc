"""Prediction over many images: local folders and Ray clusters."""
