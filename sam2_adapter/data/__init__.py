"""Images, masks and data sets on disk: reading, writing, and prompts made from ground truth."""
