"""Prompts, masks, polygons and annotated objects: values and geometry, no model."""
