# cython: language_level=3
"""Texts that change: escapes in the form in which all texts are written, and the filters of text, for the characters that most texts have.

`unescaped` takes a text of the event. The filters take text without escapes that has just been written (`was`: its opening quote), and
change it in place. They give False where a character is not a simple one: then it may be half changed, and the caller has it written anew
and changed by Python.
"""

from libc.string cimport memcmp, memcpy, memmove

from waypost.program.kernel.machine cimport Node, State
from waypost.program.kernel.scan cimport Text, hex4


cdef inline bint cased(unsigned char* p, unsigned char* end, bint lower) noexcept nogil:
    """ASCII and Latin-1 letters in the other case; CJK has none. False for any other letter, and for those whose other case is another's."""
    while p < end:
        if p[0] < 128:
            if lower:
                p[0] += 32 * (65 <= p[0] <= 90)
            else:
                p[0] -= 32 * (97 <= p[0] <= 122)
            p += 1
        elif p[0] == 0xC3:
            if lower:
                p[1] += 32 * (p[1] <= 0x9E and p[1] != 0x97)
            elif p[1] == 0x9F or p[1] == 0xBF:
                return False
            else:
                p[1] -= 32 * (p[1] >= 0xA0 and p[1] != 0xB7)
            p += 2
        elif p[0] == 0xC2 and (lower or p[1] != 0xB5):
            p += 2
        elif 0xE3 <= p[0] <= 0xE9:
            p += 3
        else:
            return False
    return True


cdef inline bint trimmed(State* s, unsigned char* was) noexcept nogil:
    """Without the spaces around it. White space beyond ASCII begins with C2, E1, E2 or E3: False for text with such a character at an end."""
    cdef unsigned char* p = was + 1
    cdef unsigned char* end = s.out - 1
    cdef unsigned char* last
    while end > p and (end - 1)[0] == 32:
        end -= 1
    while p < end and p[0] == 32:
        p += 1
    last = end - 1
    while last > p and (last[0] & 0xC0) == 0x80:
        last -= 1
    if p < end and (p[0] == 0xC2 or 0xE1 <= p[0] <= 0xE3 or last[0] == 0xC2 or 0xE1 <= last[0] <= 0xE3):
        return False
    memmove(was + 1, p, end - p)
    _close(s, was + 1 + (end - p))
    return True


cdef inline void _close(State* s, unsigned char* end) noexcept nogil:
    end[0] = 34
    s.out = end + 1


cdef inline bint replaced(State* s, Node* node, unsigned char* was) noexcept nogil:
    """With each place of one text replaced by another, from the left. It is made behind the text, then put in its place."""
    cdef Text old = s.texts + node.b
    cdef Text new = old + node.c
    cdef unsigned char* p = was + 1
    cdef unsigned char* end = s.out - 1
    cdef unsigned char* made = s.out
    cdef Py_ssize_t size
    while p < end:
        if s.out - made + node.d >= s.spare:
            return False
        if end - p >= node.c and memcmp(p, old, node.c) == 0:
            memcpy(s.out, new, node.d)
            s.out += node.d
            p += node.c
        else:
            s.out[0] = p[0]
            s.out += 1
            p += 1
    size = s.out - made
    memmove(was + 1, made, size)
    _close(s, was + 1 + size)
    return True


cdef inline void unescaped(State* s, Text p, Text end) noexcept nogil:
    """Writes a text with its escapes decoded, but for quotes, backslashes and control characters: as msgspec writes it. It gets no longer."""
    cdef int unit
    while p < end:
        if p[0] != 92:
            s.out[0] = p[0]
            s.out += 1
            p += 1
            continue
        if p[1] != c"u":
            # A slash needs no escape; all others do.
            if p[1] != c"/":
                s.out[0] = 92
                s.out += 1
            s.out[0] = p[1]
            s.out += 1
            p += 2
            continue
        unit = hex4(p + 2)
        p += 6
        if 0xD800 <= unit <= 0xDBFF:
            unit = 0x10000 + ((unit - 0xD800) << 10) + hex4(p + 2) - 0xDC00
            p += 6
        _character(s, unit)


cdef inline void _character(State* s, int unit) noexcept nogil:
    """One character: escaped where it must be, else in UTF-8."""
    cdef unsigned char* out = s.out
    cdef Text digits = <Text><const char*>"0123456789abcdef"
    cdef Text short = <Text><const char*>"btn_fr"
    if unit == 34 or unit == 92:
        out[0], out[1], s.out = 92, unit, out + 2
    elif 8 <= unit <= 13 and unit != 11:
        out[0], out[1], s.out = 92, short[unit - 8], out + 2
    elif unit < 32:
        memcpy(out, <const char*>"\\u00", 4)
        out[4], out[5], s.out = digits[unit >> 4], digits[unit & 15], out + 6
    elif unit < 0x80:
        out[0], s.out = unit, out + 1
    elif unit < 0x800:
        out[0], out[1], s.out = 0xC0 | unit >> 6, 0x80 | unit & 63, out + 2
    elif unit < 0x10000:
        out[0], out[1], out[2], s.out = 0xE0 | unit >> 12, 0x80 | unit >> 6 & 63, 0x80 | unit & 63, out + 3
    else:
        out[0], out[1], s.out = 0xF0 | unit >> 18, 0x80 | unit >> 12 & 63, out + 4
        out[2], out[3] = 0x80 | unit >> 6 & 63, 0x80 | unit & 63
