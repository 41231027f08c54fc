"""Pascal VOC: data sets of pictures that number objects and classes, and results in this form."""
