"""Listening on an address, before anything else is done: an address that is taken is said at once.

Takes a host and a port, or the text of an option. Gives sockets that listen, and addresses as people write them. Raises Taken.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from typing import Any

LOOPBACK = "127.0.0.1"

FILE = "listening"
"""In the state's folder: the address of the engine that is at work on it."""


class Taken(Exception):
    """An address that cannot be listened on. One clear line."""


def bind(host: str, port: int) -> list[socket.socket]:
    """A listening socket for each address of a host, all with one port."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise Taken(f"cannot listen on {name_of((host, port))}: {error.strerror}") from None
    sockets: list[socket.socket] = []
    for family, _, _, _, address in dict.fromkeys(found):
        # With its protocol named: asyncio switches Nagle's algorithm off only on sockets that say they are TCP.
        one = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            one.bind((address[0], port, *address[2:]))
            one.listen(1024)
        except OSError as error:
            for other in (*sockets, one):
                other.close()
            raise Taken(f"cannot listen on {name_of((host, port))}: {error.strerror}") from None
        sockets.append(one)
        port = one.getsockname()[1]
    return sockets


def name_of(address: Any) -> str:
    """HOST:PORT of a socket's address."""
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def read_address(text: str) -> tuple[str, int] | None:
    """`HOST:PORT`, `[V6]:PORT`, or a port alone, which is loopback's. None for what is none of these."""
    found = re.fullmatch(r"(?:(\[[0-9A-Fa-f:.]+\]|[^\s:/\[\]]*):)?([0-9]{1,5})", text, re.ASCII)
    if found is None or int(found[2]) > 65535:
        return None
    return (found[1] or LOOPBACK).strip("[]"), int(found[2])


def is_loopback(host: str) -> bool:
    """Whether only this machine can mean a host's name or address."""
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback
