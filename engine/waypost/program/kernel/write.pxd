# cython: language_level=3
"""The nodes of a plan: what they write of the event in the slots.

Takes a State whose slots are filled, and the index of a node. A value writes JSON at `s.out` and gives DONE, or NONE where it is missing,
or NOT_MINE. What is written before NONE or NOT_MINE does not count: the caller has
kept where it began. How much room there must be is known beforehand (rows.py: `fixed`, `copies`), so nothing here asks.

Each node has the meaning that generated code gives it (program/generated/expressions.py); where the two could differ by a byte, it is NOT_MINE.
"""

from libc.string cimport memchr, memcmp, memcpy, memmove

from waypost.program.kernel.machine cimport DONE, NONE, NOT_MINE, Node, Op, Slot, State
from waypost.program.kernel.judge cimport test
from waypost.program.kernel.read cimport same
from waypost.program.kernel.scan cimport (
    EMPTY, ESCAPED, FALSE_, MISSING, NULL_, NUMBER, OBJECT, PLAIN, TRUE_, Text,
    blank, characters, instant, member_end, member_name, number_text, plain_integer,
)
from waypost.program.kernel.texts cimport cased, replaced, trimmed, unescaped

cdef extern from *:
    """
    #define WAYPOST_MOST 64
    """
    const int MOST "WAYPOST_MOST"   # members of an object that is written anew


cdef inline void _put(State* s, Text start, Py_ssize_t size) noexcept nogil:
    memcpy(s.out, start, size)
    s.out += size


cdef inline void _put_byte(State* s, unsigned char c) noexcept nogil:
    s.out[0] = c
    s.out += 1


cdef inline int _put_slot(State* s, Slot* slot) noexcept nogil:
    _put(s, slot.start, slot.end - slot.start)
    return DONE


cdef inline int _copy(State* s, Slot* slot, bint as_it_stands) noexcept nogil:
    """A member's value; text as generated code writes what it has decoded, unless that copies it as it stands."""
    if slot.kind != ESCAPED or as_it_stands:
        return _put_slot(s, slot)
    unescaped(s, slot.start, slot.end)
    return DONE


cdef inline int write(State* s, int which) noexcept nogil:
    """Writes the value of a node."""
    cdef Node* node = s.nodes + which
    cdef int op = node.op
    if op <= Op.WHOLE:
        return _leaf(s, node)
    if op == Op.UNTOUCHED:
        return _untouched(s, node)
    if op == Op.BEHIND:
        return _behind(s, node)
    if op == Op.EDITED:
        return _edited(s, node)
    if op == Op.MEMBERS:
        return _members(s, node)
    if op == Op.ITEMS:
        return _items(s, node)
    if op == Op.JOINED:
        return _joined(s, node)
    if op == Op.LOOKUP:
        return _lookup(s, node)
    if op == Op.FIRST or op == Op.WHEN or op == Op.REQUIRED or op == Op.DEFAULT:
        return _choice(s, node)
    if op == Op.ONE_OF:
        return _one_of(s, node)
    if op == Op.LOWER or op == Op.UPPER or op == Op.TRIM or op == Op.REPLACE:
        return _changed(s, node)
    if op == Op.CALL:
        return s.call(s, node)
    if op == Op.IDENTITY:
        return _identity(s, node)
    return NOT_MINE


cdef inline int _leaf(State* s, Node* node) noexcept nogil:
    """One member, or a constant."""
    cdef Slot* slot
    cdef int op = node.op
    if op == Op.CONSTANT:
        _put(s, s.texts + node.a, node.b)
        return DONE
    slot = s.slots + node.a
    if op == Op.COPY:
        if slot.kind == MISSING:
            return NONE
        return _copy(s, slot, node.b)
    if slot.kind <= NULL_:
        return NONE
    if op == Op.STRING:
        return _text(s, slot, node)
    if op == Op.INSTANT:
        if slot.kind == PLAIN and instant(slot.start + 1, slot.end - 1):
            return _put_slot(s, slot)
    elif op == Op.WHOLE:
        if slot.kind == OBJECT:
            return _put_slot(s, slot)
        if slot.kind == EMPTY:
            return _nothing(s, node.b)
    elif op == Op.BOOLEAN:
        if slot.kind == TRUE_ or slot.kind == FALSE_:
            return _put_slot(s, slot)
    elif slot.kind == NUMBER and (not node.b or plain_integer(slot.start, slot.end)):
        return _put_slot(s, slot)
    return NOT_MINE


cdef inline int _nothing(State* s, bint typed) noexcept nogil:
    """What an empty list is where an object is wanted: nothing, or of that type an object without members."""
    if not typed:
        return NONE
    _put(s, <Text><const char*>"{}", 2)
    return DONE


cdef inline int _text(State* s, Slot* slot, Node* node) noexcept nogil:
    """Text as generated code writes it, a number as text. Bytes are at least as many as characters."""
    cdef Py_ssize_t size = slot.end - slot.start
    cdef unsigned char* was = s.out
    if slot.kind == ESCAPED:
        unescaped(s, slot.start, slot.end)
        return DONE if not node.c or s.out - was - 2 <= node.c else NOT_MINE
    if slot.kind == PLAIN:
        if size == 2 and node.b:
            return NONE
        if node.c and size - 2 > node.c and characters(slot.start + 1, slot.end - 1) > node.c:
            return NOT_MINE
        return _put_slot(s, slot)
    size = number_text(slot.start, slot.end) if slot.kind == NUMBER else -1
    if size < 0 or (node.c and size > node.c):
        return NOT_MINE
    _put_byte(s, 34)
    _put(s, slot.start, size)
    _put_byte(s, 34)
    return DONE


cdef inline int _members(State* s, Node* node) noexcept nogil:
    """An object. Each member begins with a comma; the first one's becomes the brace."""
    cdef unsigned char* was = s.out
    cdef unsigned char* value
    cdef Node* member
    cdef int at = node.child, found
    while at >= 0:
        member = s.nodes + at
        _put(s, s.texts + member.a, member.b)
        value = s.out
        found = write(s, member.child)
        if found == NOT_MINE:
            return NOT_MINE
        if found == NONE:
            s.out = value - member.b
        elif member.c and not _is_blank(value, s.out):
            s.seen |= member.c
        at = member.next
    if s.out == was:
        if not node.a:
            return NONE
        _put_byte(s, c"{")
    was[0] = c"{"
    _put_byte(s, c"}")
    return DONE


cdef inline int _items(State* s, Node* node) noexcept nogil:
    cdef unsigned char* was = s.out
    cdef unsigned char* began
    cdef int at = node.child, found
    while at >= 0:
        began = s.out
        _put_byte(s, c",")
        found = write(s, at)
        if found == NOT_MINE:
            return NOT_MINE
        if found == NONE:
            s.out = began
        at = s.nodes[at].next
    if s.out == was:
        return NONE
    was[0] = c"["
    _put_byte(s, c"]")
    return DONE


cdef inline int _choice(State* s, Node* node) noexcept nogil:
    cdef unsigned char* was = s.out
    cdef int at = node.child, found
    if node.op == Op.WHEN:
        found = test(s, node.a)
        if found == 2:
            return NOT_MINE
        at = node.child if found else node.b
        return write(s, at) if at >= 0 else NONE
    if node.op == Op.FIRST:
        while at >= 0:
            found = write(s, at)
            if found == NOT_MINE or (found == DONE and not _is_null(was, s.out)):
                return found
            s.out = was
            at = s.nodes[at].next
        return NONE
    found = write(s, at)
    if node.op == Op.REQUIRED:
        return DONE if found == DONE else NOT_MINE
    if found == NONE or (found == DONE and node.b and _is_null(was, s.out)):
        s.out = was
        return write(s, node.a)
    # A filter reads its value: what is not one token may be written otherwise.
    return NOT_MINE if found == DONE and node.b and not _is_inline(was, s.out) else found


cdef inline int _one_of(State* s, Node* node) noexcept nogil:
    """A value that is one of the allowed ones by its bytes; an equal number may have others."""
    cdef unsigned char* was = s.out
    cdef int found = write(s, node.child), at = node.b
    cdef Py_ssize_t size
    if found != DONE:
        return found
    while at < node.b + node.c:
        size = (<Text>memchr(s.texts + at, 0, 1 << 30)) - (s.texts + at)
        if same(s, was, s.out - was, at, size):
            return DONE
        at += size + 1
    return NOT_MINE


cdef inline int _lookup(State* s, Node* node) noexcept nogil:
    """The constant that stands in a table for a text, number or boolean."""
    cdef unsigned char* was = s.out
    cdef int found = write(s, node.child), at = node.b
    cdef Node* entry
    cdef Text key
    cdef Py_ssize_t size
    if found == NOT_MINE or (found == DONE and not _is_inline(was, s.out)):
        return NOT_MINE
    s.out = was if found == NONE or _is_null(was, s.out) else s.out
    key, size = was, s.out - was
    if size and key[0] == 34:
        key, size = key + 1, size - 2
    elif size and key[0] <= 57:
        size = number_text(was, s.out)
        if size < 0:
            return NOT_MINE
    while at >= 0 and s.out != was:
        entry = s.nodes + at
        if same(s, key, size, entry.a, entry.b):
            s.out = was
            _put(s, s.texts + entry.c, entry.d)
            return DONE
        at = entry.next
    s.out = was
    if node.a < 0:
        return NONE
    found = write(s, node.a)
    # Generated code decodes the other value.
    if found == DONE and s.nodes[node.a].op != Op.CONSTANT and not _is_inline(was, s.out):
        return NOT_MINE
    return found


cdef inline int _joined(State* s, Node* node) noexcept nogil:
    """Texts, numbers and booleans as one text; none at all where one has no value."""
    cdef int at = node.child, found, result = DONE
    cdef unsigned char* value
    cdef Py_ssize_t size
    _put_byte(s, 34)
    while at >= 0:
        value = s.out
        found = write(s, at)
        if found == NOT_MINE or (found == DONE and not _is_inline(value, s.out)):
            return NOT_MINE
        if found == NONE or _is_null(value, s.out):
            result, s.out = NONE, value
        elif value[0] == 34:
            memmove(value, value + 1, s.out - value - 2)
            s.out -= 2
        elif value[0] <= 57:
            size = number_text(value, s.out)
            if size < 0:
                return NOT_MINE
            s.out = value + size
        at = s.nodes[at].next
    _put_byte(s, 34)
    return result


cdef inline int _changed(State* s, Node* node) noexcept nogil:
    """A filter of text, where its characters are simple ones; else by a call. Null and missing stay nothing."""
    cdef unsigned char* was = s.out
    cdef int found = write(s, node.child)
    cdef bint done = False
    if found != DONE:
        return found
    if _is_null(was, s.out):
        s.out = was
        return NONE
    if was[0] == 34 and _is_inline(was, s.out):
        if node.op == Op.TRIM:
            done = trimmed(s, was)
        elif node.op == Op.REPLACE:
            done = replaced(s, node, was)
        else:
            done = cased(was + 1, s.out - 1, node.op == Op.LOWER)
    if done:
        return DONE
    s.out = was
    return s.call(s, node)


cdef inline int _untouched(State* s, Node* node) noexcept nogil:
    """An object that further keys leave as it is, or what they make of it."""
    cdef Slot* slot = s.slots + node.a
    cdef int holds = slot.kind == OBJECT or slot.kind == MISSING
    cdef int at = node.child
    while holds == 1 and at >= 0:
        holds = _holds(s, s.nodes + at)
        at = s.nodes[at].next
    if holds == 1:
        return NONE if slot.kind == MISSING else _put_slot(s, slot)
    return write(s, node.b) if holds == 0 and node.b >= 0 else NOT_MINE


cdef inline int _holds(State* s, Node* guard) noexcept nogil:
    """Whether a guard holds: 0 or 1, or 2 where that is not mine to say."""
    cdef Slot* slot = s.slots + guard.a
    cdef int found
    if guard.op == Op.UNLESS:
        found = test(s, guard.a)
        return found if found == 2 else 1 - found
    if slot.kind == MISSING:
        return 1
    if guard.op == Op.TEXTUAL:
        if slot.kind == ESCAPED:
            return 1 if guard.c == 0 else 2
        if slot.kind != PLAIN or slot.end - slot.start - 2 < guard.b:
            return 0
        return guard.c == 0 or slot.end - slot.start - 2 <= guard.c or characters(slot.start + 1, slot.end - 1) <= guard.c
    if guard.op == Op.LOGICAL:
        return slot.kind == TRUE_ or slot.kind == FALSE_
    if guard.op == Op.NESTED:
        return slot.kind == OBJECT
    return guard.op == Op.SOLID and (slot.kind == OBJECT or slot.kind == NULL_ or slot.kind == EMPTY)


cdef inline int _edited(State* s, Node* node) noexcept nogil:
    """An object written anew, member by member: those with a further key's name in their place, the others of these keys behind.

    Two members of one name, an escaped name and very many members are not mine.
    """
    cdef Slot* slot = s.slots + node.a
    cdef unsigned char* was = s.out
    cdef Text names[MOST]
    cdef Py_ssize_t sizes[MOST]
    cdef Text p, start
    cdef int count = 0, k, at
    cdef Node* key
    if slot.kind == OBJECT:
        p = blank(slot.start + 1)
        while p[0] == 34:
            if count == MOST:
                return NOT_MINE
            names[count] = p + 1
            p = member_name(p, s.limit, &sizes[count])
            if p == NULL or sizes[count] < 0:
                return NOT_MINE
            for k in range(count):
                if sizes[k] == sizes[count] and memcmp(names[k], names[count], sizes[k]) == 0:
                    return NOT_MINE
            start, p = p, member_end(p, s.limit)
            key = _key(s, node, names[count], sizes[count])
            if key == NULL:
                _put_byte(s, c",")
                _put(s, names[count] - 1, sizes[count] + 2)
                _put_byte(s, c":")
                _put(s, start, p - start)
            elif _set(s, key) == NOT_MINE:
                return NOT_MINE
            count += 1
            p = blank(p)
            if p[0] == c",":
                p = blank(p + 1)
    elif slot.kind > NULL_ and slot.kind != EMPTY:
        return NOT_MINE
    at = node.child
    while at >= 0:
        key = s.nodes + at
        if s.slots[key.c].kind == MISSING and _set(s, key) == NOT_MINE:
            return NOT_MINE
        at = key.next
    if s.out == was:
        if slot.kind != OBJECT or node.b:
            return NONE
        _put_byte(s, c"{")
    was[0] = c"{"
    _put_byte(s, c"}")
    return DONE


cdef inline Node* _key(State* s, Node* node, Text start, Py_ssize_t size) noexcept nogil:
    """The further key of this name, or NULL. Its text is `,"key":`."""
    cdef int at = node.child
    while at >= 0:
        if same(s, start, size, s.nodes[at].a + 2, s.nodes[at].b - 4):
            return s.nodes + at
        at = s.nodes[at].next
    return NULL


cdef inline int _set(State* s, Node* key) noexcept nogil:
    """A member with the value of a further key; no member where that has none."""
    cdef unsigned char* was = s.out
    cdef int found = NONE
    if key.child >= 0:
        _put(s, s.texts + key.a, key.b)
        found = write(s, key.child)
    if found == NONE:
        s.out = was
    return found


cdef inline int _identity(State* s, Node* node) noexcept nogil:
    """`meta.id`, which is made by machine.pyx once it has been asked for."""
    if not s.has_id:
        s.asks = True
        return NOT_MINE
    _put_byte(s, 34)
    _put(s, <Text>s.id, 32)
    _put_byte(s, 34)
    return DONE


cdef inline int _behind(State* s, Node* node) noexcept nogil:
    """Members that an object lacks, behind its own."""
    cdef Slot* slot = s.slots + node.a
    cdef unsigned char* was = s.out
    cdef unsigned char* own
    cdef Node* more
    cdef int at = node.child
    if slot.kind == OBJECT:
        _put(s, slot.start, slot.end - slot.start - 1)
        if blank(slot.start + 1)[0] == c"}":
            s.out = was
    elif slot.kind > NULL_ and slot.kind != EMPTY:
        return NOT_MINE
    own = s.out
    while at >= 0:
        more = s.nodes + at
        if more.op == Op.SOLID:
            if _holds(s, more) != 1:
                return NOT_MINE
        elif s.slots[more.d].kind != MISSING and s.slots[more.c].kind == MISSING:
            _put(s, s.texts + more.a, more.b)
            _copy(s, s.slots + more.d, more.child)
        at = more.next
    if s.out == own:
        s.out = was
        return _put_slot(s, slot) if slot.kind == OBJECT else NONE
    was[0] = c"{"
    _put_byte(s, c"}")
    return DONE


cdef inline bint _is_null(Text start, Text end) noexcept nogil:
    return end - start == 4 and start[0] == c"n"


cdef inline bint _is_blank(Text start, Text end) noexcept nogil:
    """What `require` does not count as present."""
    return _is_null(start, end) or (end - start == 2 and start[0] == 34)


cdef inline bint _is_inline(Text start, Text end) noexcept nogil:
    """Text without escapes, a number, a boolean or null."""
    if start[0] == 34:
        return memchr(start, 92, end - start) == NULL
    return start[0] != c"{" and start[0] != c"["
