"""The models: families, weights, networks and the engines that run them."""
