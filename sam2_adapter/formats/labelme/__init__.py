"""labelme: JSON files beside the pictures."""
