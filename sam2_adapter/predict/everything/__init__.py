"""Everything in the picture: all objects of an image without a prompt.

A grid of points is decoded, what scores well and stands firm is kept, and of masks of one object the best stays. `views` says where is
looked, `candidates` makes masks of points, `overlaps` chooses among them, `finish` cleans them up, and `find` goes through it all, step by step.
"""
