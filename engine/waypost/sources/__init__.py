"""Sources yield the lines of events with their positions: `file` from files, `stdin` from standard input, `journal` what was kept of HTTP
(`ingest`) and of standard input.

All cut lines the same way (`lines.py`): blank lines are skipped, a byte order mark and CR before LF are taken off, a last line without LF is
taken at the end, and a line above the limit is given as TooLong without being held in memory.
"""
