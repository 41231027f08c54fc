"""Overlays, charts and colours."""
