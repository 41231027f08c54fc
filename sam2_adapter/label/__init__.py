"""The page to click on: `sam2-adapter label`. A server without torch, and one process that holds the model."""
