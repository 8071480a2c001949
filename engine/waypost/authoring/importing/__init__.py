"""`waypost import`: a destination that is described in another product's format becomes a first spec with tests.

Takes decoded metadata (`metadata.py` reads its three published forms). Gives a `Draft` (`draft.py`): a spec that lints, tests, a table of new
names, and every place where the two do not mean the same, with its line. The only room in the engine that may name the format that it reads.

`directives.py` reads a mapping into a few kinds of source (`sources.py`), `fields.py` lays the field's type over it, `triggers.py` says the
trigger in documented FQL, `yaml_lines.py` writes it down, and `settle.py` has the compiler judge the draft before anybody sees it.
"""

FORMATS = {"segment-action": "Segment's public metadata of an action destination"}
"""What can be imported, by the word of the command line."""
