# cython: language_level=3
"""The tables of a plan and the state of one run over them, as C structs. Rows come from tables.py with their fields in this order."""

from waypost.program.kernel.scan cimport Text


cpdef enum Op:
    """What a node does, and what its fields are. `slot` is an index of a wanted member, `text` an offset and a length in the pool of texts."""

    # Values: they write JSON, or nothing. Up to WHOLE they are one look at one member.
    CONSTANT        # a, b: text
    COPY            # a: slot; b: whether text with escapes passes as it stands
    STRING          # a: slot; b: whether empty text counts as missing; c: the most characters, or 0
    NUMERIC         # a: slot; b: whether it must be an integer
    BOOLEAN         # a: slot
    INSTANT         # a: slot
    WHOLE           # a: slot, an object; b: whether it is asked for by its type, in which an empty list is an object
    UNTOUCHED       # a: slot, an object that passes while its guards (children) hold; b: the value where they do not, or -1
    EDITED          # a: slot, an object; b: without members it is missing; children: SET
    BEHIND          # a: slot, an object; children: what is put behind its members
    MEMBERS         # children: MEMBER; a: whether an object without members stays
    ITEMS           # children: values
    FIRST           # children: values
    WHEN            # a: test; child: then; b: else, or -1
    REQUIRED        # child
    DEFAULT         # child; a: the other value; b: whether a template's filter asks, to which null is missing
    ONE_OF          # child; b, c: text, the allowed values with NUL behind each
    LOOKUP          # child; b: the first of ENTRY; a: the other value, or -1
    JOINED          # children: values whose texts are joined
    LOWER           # child; a: the call that does it for any text
    UPPER           # child; a: the same
    TRIM            # child; a: the same
    REPLACE         # child; a: the same; b: text, what is replaced (c bytes) and by what (d bytes)
    CALL            # a: which call; children: its arguments
    IDENTITY        # a: slot of the event's own id: `meta.id`
    AWAY            # never mine
    # Parts of values.
    MEMBER          # a, b: text of `,"key":`; c: its bit for `require`; child: value
    SET             # a, b: text of `,"key":`; c: slot of the member that has this name; child: value, or -1
    ENTRY           # a, b: text of the key; c, d: text of the value
    MORE            # a, b: text of `,"key":`; c: slot that must be missing; d: slot; child: whether escapes pass
    SOLID           # a: slot that must be an object, null or missing
    ABSENT          # a: slot that must be missing
    TEXTUAL         # a: slot that must be text or missing; b, c: the fewest and most characters
    LOGICAL         # a: slot that must be a boolean or missing
    NESTED          # a: slot that must be an object or missing
    UNLESS          # a: test that must not hold
    # Tests.
    EQUALS          # a: slot; b, c: text
    COMPARES        # a: slot; b, c: text of an integer; d: which of -1, 0, 1 (bits 1, 2, 4) the comparison may give
    NOTHING         # a: slot: null or missing
    YES             # a: slot
    NO              # a: slot
    BRACED          # a: slot: an object
    NEITHER         # child
    ALL             # children
    ANY             # children


cdef enum Found:
    DONE, NONE, NOT_MINE

cdef struct Child:      # a wanted member: its name, the object it may be (or -1), its slot, the next of its list
    int key, size, object, slot, next

cdef struct Wanted:     # an object: where its lists of wanted members begin in `heads`, and how many there are, less one
    int first, mask

cdef struct Slot:
    Text start, end
    int kind

cdef struct Node:
    int op, a, b, c, d, child, next

cdef struct Need:       # `require`: at least one of these bits, but where the test does not hold
    int bits, test

cdef struct Taker:      # an action: what is left of its trigger (or -1), its message, its needs
    int test, node, needs, count

cdef struct Tag:        # an event type and its takers (-1: not for the kernel)
    int text, size, takers, count

cdef struct State:
    Text texts
    Text limit          # below it eight bytes may be read at once
    Wanted* objects
    Child* children
    int* heads
    Node* nodes
    Slot* slots
    unsigned char* out
    Py_ssize_t spare    # how much a call, or a replacement, may write: there is so much room for each
    int (*call)(State* s, Node* node) noexcept nogil
    void* kernel
    unsigned int seen   # the bits of the members that have been written
    bint asks           # whether a message needs `meta.id`, which is not there yet
    char id[32]
    bint has_id
