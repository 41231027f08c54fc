"""The offline demo: bundled photographs, the bundled model, and a page to look at."""

# Passes over the bundled crops, about three seconds each on one core. Fine-tuning gains most of what it can in these.
NUM_EPOCHS = 8
