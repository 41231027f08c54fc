"""Reading pictures and masks from files."""
