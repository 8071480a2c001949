# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The lines of a chunk become messages in compiled code: one scan of the bytes, then each message is put together from pieces of the line.

Takes tables (tables.py) and whole lines. Gives the messages in one piece, and which lines it leaves to the other ways: whatever is not
plain JSON, or needs more than copying and comparing. It says "mine" only where it is sure that the message has the very bytes that the
generated Python code gives (tests/program/test_kernel.py, tests/program/test_differential.py); "not mine" costs a little time and is never wrong. So
nothing here rejects an event.

Why compiled: what is left of the work is a look at each byte, which no library does in the shape that a plan wants.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memchr, memcpy

from waypost.lang.values import MISSING, Fault, decode, encode

from waypost.program.kernel cimport read
from waypost.program.kernel.judge cimport test
from waypost.program.kernel.machine cimport DONE, NONE, NOT_MINE, Child, Need, Node, Slot, State, Tag, Taker, Wanted
from waypost.program.kernel.scan cimport ESCAPED, OBJECT, PLAIN, Text
from waypost.program.kernel.write cimport write

cdef extern from *:
    """
    #ifndef WAYPOST_SOURCE
    #define WAYPOST_SOURCE ""
    #endif
    """
    const char* DIGEST "WAYPOST_SOURCE"

SOURCE = DIGEST.decode()
"""The digest of the files that this was compiled from (engine/hatch_build.py)."""

cdef extern from *:
    """
    #define WAYPOST_CALLED 256
    """
    const int CALLED "WAYPOST_CALLED"

SPARE = CALLED
"""What a call may write beyond as many bytes as the line has; what needs more is left to the other ways."""


def spread(name: bytes) -> int:
    """The number by which names are spread over the lists of an object."""
    return read.spread(<Text>PyBytes_AS_STRING(name), len(name))


cdef class Kernel:
    """The tables of one plan, laid out for compiled code, and the room in which messages are put together."""

    cdef readonly dict left_out
    cdef bytes _pool
    cdef list _owners, _actions, _calls
    cdef double _now
    cdef object _error
    cdef object _meta_id
    cdef State _state
    cdef Tag* _tags
    cdef Taker* _takers
    cdef Need* _needs
    cdef int _slots, _tag_count, _type, _id, _switch_slot, _switch
    cdef Text _whole
    cdef Text _line
    cdef Text _end
    cdef int _index
    cdef object _offsets
    cdef bytes _first_line
    cdef unsigned char* _room
    cdef Py_ssize_t _size, _fixed, _copies

    def __cinit__(self, tables):
        """`tables`: tables.Tables. The last of its tags is for every type that no tag names."""
        self._pool, self._owners, self._actions = bytes(tables.pool), tables.owners, tables.actions
        self._meta_id, self.left_out, self._calls = tables.meta_id, tables.left_out, tables.calls
        self._state.kernel, self._state.call = <void*>self, _call
        self._state.texts = <Text>PyBytes_AS_STRING(self._pool)
        self._state.children = <Child*>_laid_out(tables.children, 5)
        self._state.objects = <Wanted*>_laid_out(tables.objects, 2)
        self._state.heads = <int*>_laid_out([[head] for head in tables.heads], 1)
        self._state.nodes = <Node*>_laid_out(tables.nodes, 7)
        self._state.slots = <Slot*>_room(tables.slots * sizeof(Slot))
        self._tags = <Tag*>_laid_out(tables.tags, 4)
        self._takers = <Taker*>_laid_out(tables.takers, 4)
        self._needs = <Need*>_laid_out(tables.needs, 2)
        self._slots, self._tag_count = tables.slots, len(tables.tags) - 1
        self._type, self._id = tables.type_slot, tables.id_slot
        self._switch_slot, self._switch = tables.switch_slot, tables.switch
        # A message is made of texts and of slots, each of which may be in it several times.
        self._fixed, self._copies = tables.fixed, tables.copies
        self._size = 1 << 16
        self._room = <unsigned char*>_room(self._size)

    def __dealloc__(self):
        free(self._state.objects)
        free(self._state.children)
        free(self._state.heads)
        free(self._state.nodes)
        free(self._state.slots)
        free(self._tags)
        free(self._takers)
        free(self._needs)
        free(self._room)

    def map(
        self, bytes data not None, Py_ssize_t start=0, Py_ssize_t stop=-1, offsets=0, bytes first_line=b"", double now=0.0
    ):
        """The messages of the whole lines in `data[start:stop]` (no line feed at the end; -1: up to its end): how many lines, the messages
        with a line feed behind each, what makes a Mapped of each, the lines that no action takes, how many messages a line has that has
        several, and (line, start, end) of each one that is left to the other ways.

        `offsets` is the offset of `data` in its source, or what gives that of each line by its index; that and `first_line` go into
        `meta.id`. `now` (Unix seconds) is for checks of age.
        """
        cdef Text end
        cdef int found
        cdef list owners = [], idle = [], rest = []
        cdef dict several = {}
        if stop < 0:
            stop = PyBytes_GET_SIZE(data)
        if not 0 <= start <= stop <= PyBytes_GET_SIZE(data):
            raise IndexError("lines outside of the data")
        self._whole, self._offsets, self._first_line, self._now = <Text>PyBytes_AS_STRING(data), offsets, first_line, now
        self._index, self._line, end = 0, self._whole + start, self._whole + stop
        self._state.limit, self._state.out = end - 7, self._room
        while self._line <= end:
            self._end = read.line(&self._state, self._line, end, self._slots)
            found = -1
            if self._end != NULL:
                self._reserve(self._end - self._line)
                found = self._messages(owners)
                if self._error is not None:
                    error, self._error = self._error, None
                    raise error
            else:
                self._end = <Text>memchr(self._line, 10, end - self._line)
                if self._end == NULL:
                    self._end = end
            if found < 0:
                rest.append((self._index, self._line - self._whole, self._end - self._whole))
            elif found == 0:
                idle.append(self._index)
            elif found > 1:
                several[self._index] = found
            self._index += 1
            self._line = self._end + 1
        encoded = PyBytes_FromStringAndSize(<char*>self._room, self._state.out - self._room)
        return self._index, encoded, owners, idle, several, rest

    cdef int _reserve(self, Py_ssize_t line) except -1:
        """Room for all that one line can become."""
        cdef Py_ssize_t used = self._state.out - self._room
        cdef Py_ssize_t needed = used + self._fixed + self._copies * line
        cdef unsigned char* room
        self._state.spare = line + CALLED
        if needed > self._size:
            room = <unsigned char*>realloc(self._room, 2 * needed)
            if room == NULL:
                raise MemoryError
            self._room, self._size, self._state.out = room, 2 * needed, room + used
        return 0

    cdef int _messages(self, list owners) except -2:
        """Writes the messages of the event in the slots; gives how many, or -1 where it is not mine."""
        cdef unsigned char* was = self._state.out
        cdef Slot* type_ = self._state.slots + self._type
        cdef Py_ssize_t kept = len(owners)
        cdef int k, at = 0, found
        cdef Tag* tag
        if type_.kind != PLAIN:
            return -1
        if self._switch >= 0 and self._state.slots[self._switch_slot].kind == OBJECT and test(&self._state, self._switch):
            return -1
        while at < self._tag_count and not read.same(
            &self._state, type_.start, type_.end - type_.start, self._tags[at].text, self._tags[at].size
        ):
            at += 1
        tag = self._tags + at
        if tag.takers < 0:
            return -1
        for k in range(tag.takers, tag.takers + tag.count):
            self._state.has_id = self._state.asks = False
            found = self._message(self._takers + k)
            if self._state.asks and self._identify(self._actions[k]):
                found = self._message(self._takers + k)
            if found == NOT_MINE:
                self._state.out = was
                del owners[kept:]
                return -1
            if found == DONE:
                owners.append(self._owners[k])
        return len(owners) - kept

    cdef int _message(self, Taker* taker) noexcept nogil:
        """The message of one action, if it takes the event."""
        cdef unsigned char* was = self._state.out
        cdef int k, holds = 1
        cdef Need* need
        if taker.test >= 0:
            holds = test(&self._state, taker.test)
        if holds != 1:
            return NONE if holds == 0 else NOT_MINE
        self._state.seen = 0
        if write(&self._state, taker.node) != DONE:
            self._state.out = was
            return NOT_MINE
        for k in range(taker.needs, taker.needs + taker.count):
            need = self._needs + k
            if not self._state.seen & need.bits and (need.test < 0 or test(&self._state, need.test) != 0):
                return NOT_MINE
        self._state.out[0] = 10
        self._state.out += 1
        return DONE

    cdef bint _identify(self, str action) except -1:
        """Makes `meta.id` for a message that asks for it; not of an id that would have to be decoded."""
        cdef Slot* own = self._state.slots + self._id
        cdef bytes made
        if own.kind == ESCAPED:
            return False
        event_id = own.start[1 : own.end - own.start - 1].decode() if own.kind == PLAIN else None
        line = self._line[: self._end - self._line]
        offset = self._offsets + (self._line - self._whole) if isinstance(self._offsets, int) else self._offsets[self._index]
        made = self._meta_id(event_id, line, (offset, self._first_line), action, None).encode()
        if len(made) != sizeof(self._state.id):
            raise ValueError("an id is 32 characters")
        memcpy(self._state.id, PyBytes_AS_STRING(made), sizeof(self._state.id))
        self._state.has_id = True
        return True


    cdef int _called(self, Node* node) except -1:
        """A value that Python makes of others: decoded JSON in, decoded JSON out."""
        cdef State* s = &self._state
        cdef unsigned char* was = s.out
        cdef int at = node.child, found
        cdef list values = []
        cdef bytes made
        while at >= 0:
            found = write(s, at)
            if found == NOT_MINE:
                return NOT_MINE
            values.append(_value(was, s.out) if found == DONE else MISSING)
            s.out = was
            at = s.nodes[at].next
        function, timed = self._calls[node.a]
        result = function(*values, self._now) if timed else function(*values)
        if result is MISSING:
            return NONE
        made = encode(result)
        if PyBytes_GET_SIZE(made) > s.spare:
            return NOT_MINE
        memcpy(s.out, PyBytes_AS_STRING(made), PyBytes_GET_SIZE(made))
        s.out += PyBytes_GET_SIZE(made)
        return DONE


cdef int _call(State* s, Node* node) noexcept with gil:
    """What an event did wrong is told by generated code, which comes to the same fault; what is our own mistake, `map` raises."""
    try:
        return (<Kernel>s.kernel)._called(node)
    except (Fault, ValueError, RecursionError):
        return NOT_MINE
    except BaseException as error:
        (<Kernel>s.kernel)._error = error
        return NOT_MINE


cdef object _value(Text start, Text end):
    """The value of JSON."""
    if start[0] == 34 and memchr(start, 92, end - start) == NULL:
        return start[1 : end - start - 1].decode()
    return decode(<bytes>start[: end - start])


cdef void* _room(Py_ssize_t size) except NULL:
    cdef void* found = malloc(size if size else 1)
    if found == NULL:
        raise MemoryError
    return found


cdef void* _laid_out(list rows, int width) except NULL:
    """Rows of so many ints, one behind the other: the fields of the structs in machine.pxd are all ints."""
    cdef int* found = <int*>_room(len(rows) * width * sizeof(int))
    cdef Py_ssize_t at = 0
    for row in rows:
        if len(row) != width:
            free(found)
            raise ValueError("a row of a table has the wrong width")
        for value in row:
            found[at] = value
            at += 1
    return found
