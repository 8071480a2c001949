"""The compiled way from lines to messages. `entry.py` is its door.

    entry.py       is there a kernel, and what it makes of a plan
    tables.py      a plan becomes tables: for each event type the actions that may take it
    nodes.py       ... and for each action a tree of nodes: what to write
    conditions.py  ... and of tests
    rows.py        what all three add to: rows of ints, texts, what to look for in an event
    machine.pyx    runs the tables over chunks of lines: has a line read into slots, then its messages written
    machine.pxd    what the rows and the slots are, for the files below
    read.pxd       one line into slots
    judge.pxd      the conditions
    write.pxd      the nodes of values
    texts.pxd      the filters of text among them
    scan.pxd       JSON tokens

The .pyx and .pxd files are Cython, compiled when Waypost is installed (engine/hatch_build.py). Without a C compiler there is no `machine`, and
all lines go the way of program/generated/chunk_loop.py: the same bytes, more slowly (docs/decisions/0010-kernel.md).
"""
