"""`make bench` and `make bench-full`: the engine against other ways to do the same, and against itself as the work grows.

Every comparison is made in one run whose sides take turns; what is told is the ratio of two sides in the same round: its median, lowest and
highest. Sides in Python are measured in processor time, for nothing there waits. No cache by event bytes, default gc, every side consumes what
it makes, and a peer that cannot be had is told as not measured.
"""
