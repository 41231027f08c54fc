"""How good a model is: measures, comparisons, tables."""
