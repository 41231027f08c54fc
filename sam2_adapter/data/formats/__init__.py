"""One module for every format on disk: `coco`, `dataloop_json`, `mask_png` and our own `polygons`."""
