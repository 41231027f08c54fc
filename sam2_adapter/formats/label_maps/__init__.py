"""Images with label maps beside them."""
