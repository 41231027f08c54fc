"""The forward pass in torch: image encoder, prompt encoder, mask decoder."""
