# cython: language_level=3
"""The conditions of a plan, judged over the event in the slots.

Takes a State whose slots are filled, and the index of a node. Gives 0 or 1, or 2 where it is not mine to say. Each condition has the meaning
that generated code gives it (program/generated/conditions.py). Nothing is written.
"""

from waypost.program.kernel.machine cimport Node, Op, Slot, State
from waypost.program.kernel.read cimport same
from waypost.program.kernel.scan cimport ESCAPED, FALSE_, NULL_, NUMBER, OBJECT, PLAIN, TRUE_, integer, plain_integer
from waypost.program.kernel.texts cimport unescaped


cdef inline int test(State* s, int which) noexcept nogil:
    cdef Node* node = s.nodes + which
    cdef Slot* slot = s.slots + node.a
    cdef int found, at, stop
    if node.op == Op.EQUALS:
        if slot.kind == ESCAPED:
            return _equals_unescaped(s, node, slot)
        return slot.kind == PLAIN and same(s, slot.start, slot.end - slot.start, node.b, node.c)
    if node.op == Op.COMPARES:
        return _compares(s, node, slot)
    if node.op == Op.NOTHING:
        return slot.kind <= NULL_
    if node.op == Op.YES:
        return slot.kind == TRUE_
    if node.op == Op.NO:
        return slot.kind == FALSE_
    if node.op == Op.BRACED:
        return slot.kind == OBJECT
    if node.op == Op.NEITHER:
        found = test(s, node.child)
        return found if found == 2 else 1 - found
    stop, at = node.op == Op.ANY, node.child
    while at >= 0:
        found = test(s, at)
        if found == 2 or found == stop:
            return found
        at = s.nodes[at].next
    return 1 - stop


cdef inline bint _equals_unescaped(State* s, Node* node, Slot* slot) noexcept nogil:
    """Text with escapes is compared as it would be written: for a moment, behind what is written already."""
    cdef unsigned char* was = s.out
    cdef bint found
    unescaped(s, slot.start, slot.end)
    found = same(s, was, s.out - was, node.b, node.c)
    s.out = was
    return found


cdef inline int _compares(State* s, Node* node, Slot* slot) noexcept nogil:
    """An integer against one; what is no number compares with none."""
    cdef long long left, right
    if slot.kind != NUMBER:
        return 0
    if slot.end - slot.start > 15 or not plain_integer(slot.start, slot.end):
        return 2
    left, right = integer(slot.start, slot.end), integer(s.texts + node.b, s.texts + node.b + node.c)
    return (node.d >> ((left > right) - (left < right) + 1)) & 1
