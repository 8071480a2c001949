"""The compiled way from lines to messages.

    tables.py      a plan becomes tables: what to look for in an event, and a tree of nodes for each action
    machine.pyx    runs them over chunks of lines: reads an event's members into slots, then has its messages written
    machine.pxd    what the tables and the slots are, for the files below
    write.pxd      the nodes: values, tests, and the parts of objects
    texts.pxd      the filters of text among them
    read.pxd       one line into slots
    scan.pxd       JSON tokens

The .pyx and .pxd files are Cython, compiled when Waypost is installed (engine/hatch_build.py). Without a C compiler there is no `machine`, and
all lines go the way of runtime/express.py: the same bytes, more slowly (docs/decisions/0010-kernel.md).
"""
