"""Base urls: where requests go. Takes text; gives the url without a closing slash, or None for what events may not be sent to."""

from __future__ import annotations

from urllib.parse import urlsplit

LOOPBACK = ("localhost", "127.0.0.1", "::1")


def base_url(text: str) -> str | None:
    """https anywhere, http on loopback hosts; no user, query or fragment, no white space."""
    if any(character.isspace() for character in text):
        return None
    try:
        split = urlsplit(text)
        host = split.hostname
    except ValueError:
        return None
    if not host or split.username or split.query or split.fragment:
        return None
    if split.scheme == "https" or (split.scheme == "http" and host in LOOPBACK):
        return text.rstrip("/")
    return None
