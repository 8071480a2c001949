# cython: language_level=3
"""JSON tokens in compiled code: where each ends, and whether it is one.

Takes a pointer to a token's first byte. Gives a pointer behind its last one, or NULL for what RFC 8259 does not allow (and for what is left
to the other ways: deep nesting, half a surrogate). All of it is inline, for most tokens are a few bytes.

Reading never leaves the chunk: `bytes` end in a NUL, every token ends at a control character at the latest, and eight bytes are read at
once only where eight are left. A line feed is no white space here: it ends a line.
"""

from libc.string cimport memcpy

ctypedef const unsigned char* Text
ctypedef unsigned long long Word

cdef enum Kind:
    MISSING, NULL_, TRUE_, FALSE_, NUMBER, PLAIN, ESCAPED, OBJECT, ARRAY, EMPTY   # EMPTY: an array without items

cdef extern from *:
    """
    #define WAYPOST_BYTES(byte) (0x0101010101010101ULL * (byte))
    #define WAYPOST_DEEP 60
    """
    Word every "WAYPOST_BYTES"(int byte) noexcept nogil
    const int DEEP "WAYPOST_DEEP"


cdef inline int hex4(Text p) noexcept nogil:
    cdef int value = 0, k
    cdef unsigned char c
    for k in range(4):
        c = p[k]
        if 48 <= c <= 57:
            value = value * 16 + c - 48
        elif 65 <= c <= 70:
            value = value * 16 + c - 55
        elif 97 <= c <= 102:
            value = value * 16 + c - 87
        else:
            return -1
    return value


cdef inline Text escape(Text p) noexcept nogil:
    """An escape; a surrogate without its other half is none."""
    cdef unsigned char c = p[1]
    cdef int unit
    if c == c"u":
        unit = hex4(p + 2)
        if unit < 0 or 0xDC00 <= unit <= 0xDFFF:
            return NULL
        if unit < 0xD800 or unit > 0xDBFF:
            return p + 6
        if p[6] != 92 or p[7] != c"u":
            return NULL
        unit = hex4(p + 8)
        return p + 12 if 0xDC00 <= unit <= 0xDFFF else NULL
    if c == 34 or c == 92 or c == c"/" or c == c"b" or c == c"f" or c == c"n" or c == c"r" or c == c"t":
        return p + 2
    return NULL


cdef inline bint continues(unsigned char c) noexcept nogil:
    return (c & 0xC0) == 0x80


cdef inline Text beyond_ascii(Text p) noexcept nogil:
    """One character of UTF-8 (RFC 3629: no overlong form, no surrogate, nothing above U+10FFFF)."""
    cdef unsigned char c = p[0], d
    if c < 0xC2 or c > 0xF4:
        return NULL
    d = p[1]
    if not continues(d):
        return NULL
    if c < 0xE0:
        return p + 2
    if not continues(p[2]):
        return NULL
    if c < 0xF0:
        return NULL if (c == 0xE0 and d < 0xA0) or (c == 0xED and d > 0x9F) else p + 3
    if (c == 0xF0 and d < 0x90) or (c == 0xF4 and d > 0x8F) or not continues(p[3]):
        return NULL
    return p + 4


cdef inline Text string(Text p, Text limit, bint* escaped) noexcept nogil:
    """A string, from behind its opening quote. Below `limit` eight bytes may be read at once."""
    cdef Word word, marks
    cdef unsigned char c
    while True:
        if p < limit:
            memcpy(&word, p, 8)
            # The high bit of the first byte that is a quote, a backslash, a control character or beyond ASCII.
            marks = (((word ^ every(34)) - every(1)) | ((word ^ every(92)) - every(1)) | (word - every(32)) | word) & every(128)
            if marks == 0:
                p += 8
                continue
            # How many bytes stand before it: as many ones below the lowest mark, added up in the top byte.
            p += ((((marks & (~marks + 1)) - 1) & every(1)) * every(1) >> 56) - 1
        c = p[0]
        if c == 34:
            return p + 1
        if c < 32:
            return NULL
        if c == 92:
            escaped[0] = True
            p = escape(p)
        elif c >= 128:
            p = beyond_ascii(p)
        else:
            p += 1
        if p == NULL:
            return NULL


cdef inline Text blank(Text p) noexcept nogil:
    while p[0] == 32 or p[0] == 9 or p[0] == 13:
        p += 1
    return p


cdef inline Text digits(Text p) noexcept nogil:
    if p[0] < 48 or p[0] > 57:
        return NULL
    while 48 <= p[0] <= 57:
        p += 1
    return p


cdef inline Text number(Text p) noexcept nogil:
    if p[0] == c"-":
        p += 1
    p = p + 1 if p[0] == 48 else digits(p)
    if p != NULL and p[0] == c".":
        p = digits(p + 1)
    if p != NULL and (p[0] | 32) == c"e":
        p += 1
        if p[0] == c"+" or p[0] == c"-":
            p += 1
        p = digits(p)
    return p


cdef inline Text scalar(Text p, int* kind) noexcept nogil:
    """A number, boolean or null."""
    if p[0] == c"t":
        kind[0] = TRUE_
        return p + 4 if p[1] == c"r" and p[2] == c"u" and p[3] == c"e" else NULL
    if p[0] == c"f":
        kind[0] = FALSE_
        return p + 5 if p[1] == c"a" and p[2] == c"l" and p[3] == c"s" and p[4] == c"e" else NULL
    if p[0] == c"n":
        kind[0] = NULL_
        return p + 4 if p[1] == c"u" and p[2] == c"l" and p[3] == c"l" else NULL
    kind[0] = NUMBER
    return number(p)


cdef inline Text colon(Text p) noexcept nogil:
    """The colon behind a member's name, and what is blank."""
    p = blank(p)
    return blank(p + 1) if p[0] == c":" else NULL


cdef inline Text name(Text p, Text limit) noexcept nogil:
    """A member's name and its colon."""
    cdef bint escaped = False
    if p[0] != 34:
        return NULL
    p = string(p + 1, limit, &escaped)
    return NULL if p == NULL else colon(p)


cdef inline Text member_name(Text p, Text limit, Py_ssize_t* size) noexcept nogil:
    """A member's name and its colon, and how long the name is; -1 for one with escapes."""
    cdef bint escaped = False
    cdef Text end = string(p + 1, limit, &escaped)
    size[0] = -1 if end == NULL or escaped else end - p - 2
    return NULL if end == NULL else colon(end)


cdef inline Text member_end(Text p, Text limit) noexcept nogil:
    """Any value."""
    cdef bint escaped = False
    cdef int kind
    if p[0] == 34:
        return string(p + 1, limit, &escaped)
    return skip(p, limit) if p[0] == c"{" or p[0] == c"[" else scalar(p, &kind)


cdef inline Text skip(Text p, Text limit) noexcept nogil:
    """An object or array of which nothing is wanted. `levels` has a bit for each open one: whether it is an object."""
    cdef bint escaped = False
    cdef int depth = 0, kind = 0
    cdef Word levels = 0
    cdef unsigned char c
    while True:
        c = p[0]
        if c == 34:
            p = string(p + 1, limit, &escaped)
        elif c == c"{" or c == c"[":
            depth += 1
            if depth > DEEP:
                return NULL
            levels = levels << 1 | (c == c"{")
            p = blank(p + 1)
            # `}` and `]` stand two behind their opening sign.
            if p[0] != c + 2:
                if c == c"{":
                    p = name(p, limit)
                    if p == NULL:
                        return NULL
                continue
        else:
            p = scalar(p, &kind)
        if p == NULL:
            return NULL
        while True:
            p = blank(p)
            c = p[0]
            if c == c",":
                p = blank(p + 1)
                if levels & 1:
                    p = name(p, limit)
                    if p == NULL:
                        return NULL
                break
            if c != (125 if levels & 1 else 93):
                return NULL
            p += 1
            levels >>= 1
            depth -= 1
            if depth == 0:
                return p


cdef inline int two(Text p) noexcept nogil:
    """Two digits, or a number that no part of a time may have."""
    if p[0] < 48 or p[0] > 57 or p[1] < 48 or p[1] > 57:
        return 10_000
    return (p[0] - 48) * 10 + p[1] - 48


cdef inline bint instant(Text p, Text end) noexcept nogil:
    """Whether text is a time in a form that is sent as it stands: `2026-11-24T12:00:00`, a fraction or none, `Z` or `+01:00`. There are other
    such forms (lang/values.py); the years 1 and 9999 have instants that do not exist."""
    cdef int year, month, day, last
    if end - p < 20 or p[4] != c"-" or p[7] != c"-" or p[10] != c"T" or p[13] != c":" or p[16] != c":":
        return False
    year, month, day = two(p) * 100 + two(p + 2), two(p + 5), two(p + 8)
    if year < 2 or year > 9998 or month < 1 or month > 12 or day < 1:
        return False
    last = 30 if month == 4 or month == 6 or month == 9 or month == 11 else 31
    if month == 2:
        last = 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    if day > last or two(p + 11) > 23 or two(p + 14) > 59 or two(p + 17) > 59:
        return False
    p += 19
    if p[0] == c".":
        p = digits(p + 1)
        if p == NULL:
            return False
    if p[0] == c"Z":
        return p + 1 == end
    return (p[0] == c"+" or p[0] == c"-") and p + 6 == end and p[3] == c":" and two(p + 1) < 24 and two(p + 4) < 60


cdef inline bint plain_integer(Text start, Text end) noexcept nogil:
    """Digits that are written again as they were read."""
    if end - start > 400 or (start[0] == c"-" and start[1] == 48):
        return False
    start += start[0] == c"-"
    while start < end and 48 <= start[0] <= 57:
        start += 1
    return start == end


cdef inline Py_ssize_t number_text(Text start, Text end) noexcept nogil:
    """How many bytes of a number are its text: a fraction of zeros is none. -1 for an exponent, for -0, and for very many digits."""
    cdef Text p = start, point
    while p < end and p[0] != c"." and (p[0] | 32) != c"e":
        p += 1
    if p - start > 400 or (start[0] == c"-" and start[1] == 48):
        return -1
    point = p
    p += p < end and p[0] == c"."
    while p < end and p[0] == 48:
        p += 1
    if p == end:
        return point - start
    while p < end and 48 <= p[0] <= 57:
        p += 1
    return end - start if p == end else -1


cdef inline long long integer(Text start, Text end) noexcept nogil:
    """The value of at most 18 digits."""
    cdef long long found = 0
    cdef bint below = start[0] == c"-"
    start += below
    while start < end:
        found = found * 10 + start[0] - 48
        start += 1
    return -found if below else found


cdef inline Py_ssize_t characters(Text p, Text end) noexcept nogil:
    """How many characters UTF-8 has."""
    cdef Py_ssize_t found = 0
    while p < end:
        found += not continues(p[0])
        p += 1
    return found
