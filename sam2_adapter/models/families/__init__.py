"""The numbers, names and shapes of each model family."""
