# cython: language_level=3
"""An event's members go into slots: one scan of a line, whatever a plan does with what it finds.

Takes a State and a line. Gives where the line ends, with the slots filled; or NULL for a line that is not one plain JSON object: malformed,
with an escaped name or a wanted member twice where members are looked for, or nested deeply.
"""

from libc.string cimport memcmp

from waypost.program.kernel.machine cimport Child, Slot, State, Wanted
from waypost.program.kernel.scan cimport (
    ARRAY, EMPTY, ESCAPED, MISSING, OBJECT, PLAIN, Text, blank, member_name, scalar, skip, string,
)


cdef inline unsigned int spread(Text start, Py_ssize_t size) noexcept nogil:
    """A number by which names are spread over lists: of their length, and of their first, middle and last bytes."""
    if size == 0:
        return 0
    return size + start[0] * 3 + start[size >> 1] * 31 + start[size - 1] * 7 + (start[size - 2] * 17 if size > 1 else 0)


cdef inline bint same(State* s, Text start, Py_ssize_t size, int text, int length) noexcept nogil:
    """Whether bytes are those of a text in the pool."""
    return size == length and memcmp(start, s.texts + text, size) == 0


cdef inline Text line(State* s, Text p, Text end, int slots) noexcept nogil:
    """Fills the slots from the line at `p`; gives its end."""
    cdef int k
    if p[0] != c"{":
        return NULL
    for k in range(slots):
        s.slots[k].kind = MISSING
    p = _object(s, p + 1, 0)
    return p if p != NULL and (p == end or p[0] == 10) else NULL


cdef inline Text _object(State* s, Text p, int which) noexcept nogil:
    """An object of which members are wanted, from behind its brace."""
    cdef Py_ssize_t size
    cdef Text start
    p = blank(p)
    if p[0] == c"}":
        return p + 1
    while p[0] == 34:
        start = p + 1
        p = member_name(p, s.limit, &size)
        if p == NULL or size < 0:
            return NULL
        p = _member(s, p, _child(s, which, start, size))
        if p == NULL:
            return NULL
        p = blank(p)
        if p[0] == c"}":
            return p + 1
        if p[0] != c",":
            return NULL
        p = blank(p + 1)
    return NULL


cdef inline Child* _child(State* s, int which, Text start, Py_ssize_t size) noexcept nogil:
    """The wanted member of this name, or NULL."""
    cdef Wanted* object = s.objects + which
    cdef int at = s.heads[object.first + (spread(start, size) & object.mask)]
    while at >= 0:
        if same(s, start, size, s.children[at].key, s.children[at].size):
            return s.children + at
        at = s.children[at].next
    return NULL


cdef inline Text _member(State* s, Text p, Child* child) noexcept nogil:
    """A member's value, kept in its slot where it is wanted; the second of a name is not plain."""
    cdef Text start = p
    cdef bint escaped = False
    cdef int kind = ARRAY
    cdef Slot* slot
    if p[0] == 34:
        p = string(p + 1, s.limit, &escaped)
        kind = ESCAPED if escaped else PLAIN
    elif p[0] == c"{":
        kind = OBJECT
        p = skip(p, s.limit) if child == NULL or child.object < 0 else _object(s, p + 1, child.object)
    elif p[0] == c"[":
        p = skip(p, s.limit)
        if child != NULL and p != NULL and blank(start + 1)[0] == c"]":
            kind = EMPTY
    else:
        p = scalar(p, &kind)
    if child == NULL or p == NULL:
        return p
    slot = s.slots + child.slot
    if slot.kind != MISSING:
        return NULL
    slot.kind, slot.start, slot.end = kind, start, p
    return p
