"""Dataloop's annotation JSON and exports."""
