"""Everything in the picture: all objects of an image without a prompt.

A grid of points is decoded, masks that score well and are stable are kept, and of masks of one object the best stays. `views` says where
to look, `candidates` makes masks of points, `overlaps` chooses among them, `finish` cleans them up, and `find` goes through it all, step by step.
"""
