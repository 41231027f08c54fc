"""The model: weights in and out, encoders and decoder, and where they run. The only room that imports transformers."""
