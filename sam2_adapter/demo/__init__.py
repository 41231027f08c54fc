"""The offline demo: bundled photographs, the bundled model, and a page to look at."""
