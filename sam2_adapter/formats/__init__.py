"""Annotation formats: readers and writers, data sets, prompts files."""
