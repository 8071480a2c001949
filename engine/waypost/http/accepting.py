"""Connections are taken from listening sockets as long as there is room for them: what is open is bounded, below what the process may open.

Takes sockets that listen (listening.py), what makes a protocol for a connection, and how many are open. Gives what others use of an
`asyncio.Server` (`close`, `wait_closed`). Where there is no room (the limit, or the system has no descriptor left) it pauses: that is said
once, connections wait in the system's queue, those that idle are closed, and it goes on when there is room again.

Why not asyncio's own: without a descriptor it tries to accept once for each place of its backlog, logs a traceback each time, and a second
later does so again; and it knows no limit, so that idle connections take the descriptors that delivery needs.
"""

from __future__ import annotations

import asyncio
import errno
import resource
import socket
from collections.abc import Callable
from typing import Any

from waypost.events.notices import Notice

SPENT = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
"""The system has no room for another connection."""

AT_ONCE = 64
"""So many connections are taken before the loop turns."""

LOOK_S = 0.1
"""How often it looks whether there is room again."""


def places(most: int, share: float) -> int:
    """How many connections may be open: at most a share of the descriptors that this process may have."""
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return most if soft == resource.RLIM_INFINITY else max(4, min(most, int(soft * share)))


class Accepting:
    """State: the sockets, the connections that are being set up, and the timer of a pause."""

    def __init__(
        self,
        sockets: list[socket.socket],
        protocol: Callable[[], asyncio.BaseProtocol],
        limit: int,
        opened: Callable[[], int],
        make_room: Callable[[], None],
        notice: Callable[[str], None],
        name: str,
    ) -> None:
        """`opened` says how many connections are open, `make_room` closes some that idle; `name` is for what is said."""
        self.sockets = sockets
        self._protocol = protocol
        self._limit = limit
        self._opened = opened
        self._make_room = make_room
        self._notice = notice
        self._name = name
        self._loop = asyncio.get_running_loop()
        self._coming: set[asyncio.Task[None]] = set()
        self._pause: asyncio.TimerHandle | None = None
        self._said = False
        self._spent = False
        for one in sockets:
            one.setblocking(False)
        self._go_on()

    def close(self) -> None:
        self._stop()
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None
        for one in self.sockets:
            one.close()

    async def wait_closed(self) -> None:
        await asyncio.gather(*self._coming, return_exceptions=True)

    @property
    def _full(self) -> bool:
        return self._opened() + len(self._coming) >= self._limit

    def _ready(self, listening: socket.socket) -> None:
        for _ in range(AT_ONCE):
            if self._full:
                self._wait("")
                return
            try:
                connection, _ = listening.accept()
            except OSError as error:
                # Anything else is one client's affair: it has gone already.
                if error.errno in SPENT:
                    self._wait(str(error.strerror))
                    return
                if isinstance(error, BlockingIOError):
                    return
                continue
            if self._spent:
                self._spent = False
                self._there_is_room()
            connection.setblocking(False)
            task = self._loop.create_task(self._take(connection))
            self._coming.add(task)
            task.add_done_callback(self._coming.discard)

    async def _take(self, connection: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._protocol, connection)
        except OSError:
            connection.close()

    def _go_on(self) -> None:
        for one in self.sockets:
            self._loop.add_reader(one.fileno(), self._ready, one)

    def _stop(self) -> None:
        for one in self.sockets:
            if one.fileno() >= 0:
                self._loop.remove_reader(one.fileno())

    def _wait(self, why: str) -> None:
        """No more is accepted until there is room."""
        self._stop()
        self._spent = bool(why)
        if not self._said:
            self._said = True
            held = f"{self._opened():,} connections are open"
            what = f"{held}, and the system has no room for more ({why})" if why else f"{held}, which is the limit"
            self._notice(
                Notice(f"{self._name}: {what}; others wait until some close", "connections_full", level="warning")
            )
        self._pause = self._loop.call_later(LOOK_S, self._look)

    def _look(self) -> None:
        self._pause = None
        if self._full:
            self._make_room()
            self._pause = self._loop.call_later(LOOK_S, self._look)
            return
        if not self._spent:
            self._there_is_room()
        self._go_on()

    def _there_is_room(self) -> None:
        """Said only when there is a good deal of it: at the limit it comes and goes."""
        if self._said and self._opened() <= self._limit // 2:
            self._said = False
            self._notice(Notice(f"{self._name}: there is room for connections again", "connections_room"))


def idlest(connections: list[tuple[float, Any]], before: float, limit: int) -> list[Any]:
    """Of connections with the instant since which each idles: those to close where there is no room, the longest idle first."""
    waiting = sorted((row for row in connections if row[0] <= before), key=lambda row: row[0])
    return [one for _, one in waiting[: max(1, limit // 16)]]
