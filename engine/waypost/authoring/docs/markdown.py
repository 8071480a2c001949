"""Pages as Markdown (GitHub's).

Takes a Page; gives text, LF at the end. Whatever a spec holds shows as it stands: signs of Markdown and HTML are escaped.
"""

from __future__ import annotations

import re
from urllib.parse import quote

from waypost.authoring.docs.blocks import Block, Code, Heading, Inline, Line, Link, Listing, Page, Paragraph

SUFFIX = ".md"
INDEX = "README"

_SIGNS = re.compile(r"([\\`*_{}\[\]<>|#~&])")


def render(page: Page) -> str:
    head = (
        f"# {_escaped(page.title)}\n\nGenerated from its spec by `waypost docs`."
        if page.name != INDEX
        else f"# {_escaped(page.title)}"
    )
    return "\n\n".join([head, *map(_block, page.blocks)]) + "\n"


def _block(block: Block) -> str:
    if isinstance(block, Heading):
        return f"{'#' * block.level} {_escaped(block.text)}" + (f" {_code(block.code)}" if block.code else "")
    if isinstance(block, Paragraph):
        return _line(block.line)
    if isinstance(block, Listing):
        longest = max(map(len, re.findall(r"`+", block.text)), default=0)
        fence = "`" * max(3, longest + 1)
        return f"{fence}{block.language}\n{block.text}\n{fence}"
    rows = [f"| {' | '.join(map(_escaped, block.head))} |", "|" + "---|" * len(block.head)]
    rows += [f"| {' | '.join(_cell(cell) for cell in row)} |" for row in block.rows]
    return "\n".join(rows)


def _cell(line: Line) -> str:
    # A table splits at every `|` that is not escaped, also within code.
    return "".join(
        _code(part.text).replace("|", "\\|") if isinstance(part, Code) else _inline(part) for part in line
    ).strip()


def _line(line: Line) -> str:
    return "".join(map(_inline, line)).strip()


def _inline(part: Inline) -> str:
    if isinstance(part, Code):
        return _code(part.text)
    if isinstance(part, Link):
        target = f"{part.page}{SUFFIX}" if part.page else quote(part.href, safe=":/?#@!$&'*+,;=%~-._")
        return f"[{_escaped(part.text)}]({target})"
    return _escaped(part)


def _escaped(text: str) -> str:
    return _SIGNS.sub(r"\\\1", text.replace("\r", " ").replace("\n", " "))


def _code(text: str) -> str:
    text = text.replace("\r", " ").replace("\n", " ")
    longest = max(map(len, re.findall(r"`+", text)), default=0)
    if not longest:
        return f"`{text}`"
    return f"{'`' * (longest + 1)} {text} {'`' * (longest + 1)}"
