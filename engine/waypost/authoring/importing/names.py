"""Names that the spec can have, for names that another product has: lower-case words, each once."""

from __future__ import annotations

import re
import unicodedata

from waypost.lang import notation
from waypost.lang.words import snakecase


def spec_name(text: str) -> str:
    """A destination's name; the product's own first word (`actions-…`) is left out."""
    return word(re.sub(r"^actions[-_ ]", "", text.strip(), flags=re.IGNORECASE)) or "imported"


def word(text: str) -> str:
    """Lower-case words joined by `_`, from a letter on; "" when no letter or digit is left."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    found = re.sub(r"[^a-z0-9]+", "_", snakecase(plain)).strip("_")
    return f"n{found}" if found[:1].isdigit() else found


class Names:
    """Gives each text a name of its own. State: the names that are taken."""

    def __init__(self, otherwise: str) -> None:
        self._otherwise = otherwise
        self._taken: set[str] = set()

    def take(self, *texts: str) -> str:
        """The first text that makes a name; a number behind it where it is taken."""
        base = next((found for found in map(word, texts) if found), self._otherwise)
        if notation.quoted(base) != base:
            base = f"{self._otherwise}_{base}"  # YAML takes the word for something else
        name, at = base, 1
        while name in self._taken:
            at += 1
            name = f"{base}_{at}"
        self._taken.add(name)
        return name
