"""Pages as HTML: one self-contained file each, without script, readable in light and dark, by eye and by ear.

Takes a Page. Gives text. Everything that comes from a spec goes through `escape`; the page's own policy forbids scripts as well.
"""

from __future__ import annotations

import re
from html import escape

from waypost.authoring.docs.blocks import Block, Code, Heading, Inline, Line, Link, Listing, Page, Paragraph, Table

SUFFIX = ".html"
INDEX = "index"

_STYLE = """
:root { color-scheme: light dark; --ink: #1c2230; --soft: #5b6474; --paper: #ffffff; --shade: #f4f6f9; --rule: #d9dee7; --link: #0b57d0; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e9ef; --soft: #a3acbb; --paper: #12151b; --shade: #1b2029; --rule: #313947; --link: #8ab4f8; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.55 system-ui, sans-serif; }
a { color: var(--link); }
a:focus-visible, [tabindex]:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; }
.skip { position: absolute; left: -100vw; }
.skip:focus { left: 1rem; top: 1rem; background: var(--paper); padding: .5rem; }
header, main { max-width: 72rem; margin: 0 auto; padding: 1rem 1.5rem; }
header { color: var(--soft); font-size: .875rem; }
main { padding-bottom: 4rem; }
h1 { font-size: 2rem; line-height: 1.2; margin: .5rem 0 1rem; }
h2 { font-size: 1.375rem; margin: 2.5rem 0 .75rem; padding-top: 1rem; border-top: 1px solid var(--rule); }
h3 { font-size: 1.125rem; margin: 2rem 0 .5rem; }
h3 code { color: var(--soft); font-weight: 400; }
nav ul { list-style: none; margin: 0 0 1rem; padding: 0; display: flex; flex-wrap: wrap; gap: .25rem 1rem; }
.scroll { overflow-x: auto; margin: .75rem 0; border: 1px solid var(--rule); border-radius: .5rem; }
table { border-collapse: collapse; width: 100%; min-width: 40rem; font-size: .9375rem; }
th, td { text-align: left; vertical-align: top; padding: .5rem .75rem; border-top: 1px solid var(--rule); }
thead th { border-top: 0; background: var(--shade); color: var(--soft); font-weight: 600; white-space: nowrap; }
tbody th { font-weight: 500; }
code, pre { font-family: ui-monospace, "SFMono-Regular", Menlo, Consolas, monospace; font-size: .875em; }
code { background: var(--shade); border-radius: .25rem; padding: .1em .3em; overflow-wrap: anywhere; }
pre { background: var(--shade); border: 1px solid var(--rule); border-radius: .5rem; padding: .75rem 1rem; overflow-x: auto; }
th code, td code { overflow-wrap: normal; }
pre code { background: none; padding: 0; }
.hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
"""

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def render(page: Page) -> str:
    title = escape(page.title)
    home = (
        ""
        if page.name == INDEX
        else f'<nav aria-label="Directory"><a href="{INDEX}{SUFFIX}">All destinations</a></nav>'
    )
    parts = [
        "<!doctype html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{title}</title>",
        f"<style>{_STYLE}</style>",
        "</head>",
        "<body>",
        '<a class="skip" href="#main">To the content</a>',
        f"<header>{home}</header>",
        '<main id="main">',
        f"<h1>{title}</h1>",
        *_contents(page),
        *_blocks(page),
        "</main>",
        "</body>",
        "</html>",
    ]
    return "\n".join(parts) + "\n"


def _contents(page: Page) -> list[str]:
    """The headings as links, where there is more than one."""
    tops = [block for block in page.blocks if isinstance(block, Heading) and block.level == 2]
    if len(tops) < 2:
        return []
    rows = [f'<li><a href="#{_anchor(block.text)}">{escape(block.text)}</a></li>' for block in tops]
    return ['<nav aria-label="On this page"><ul>', *rows, "</ul></nav>"]


def _blocks(page: Page) -> list[str]:
    found: list[str] = []
    taken: set[str] = set()
    near = page.title
    for block in page.blocks:
        if isinstance(block, Heading):
            near = block.text
            anchor = _anchor(block.code or block.text)
            mark = "" if anchor in taken else f' id="{anchor}"'
            taken.add(anchor)
            code = f" <code>{escape(block.code)}</code>" if block.code else ""
            found.append(f"<h{block.level}{mark}>{escape(block.text)}{code}</h{block.level}>")
        else:
            found.append(_block(block, near))
    return found


def _block(block: Block, near: str) -> str:
    if isinstance(block, Paragraph):
        return f"<p>{_line(block.line)}</p>"
    if isinstance(block, Listing):
        return f'<pre tabindex="0"><code>{escape(block.text)}</code></pre>'
    assert isinstance(block, Table)
    name = block.name if block.name == near else f"{block.name}: {near}"
    head = "".join(f'<th scope="col">{escape(text)}</th>' for text in block.head)
    rows = "\n".join(f"<tr>{''.join(_cell(cell, at) for at, cell in enumerate(row))}</tr>" for row in block.rows)
    return (
        f'<div class="scroll" role="region" aria-label="{escape(name)}" tabindex="0">\n<table>\n'
        f'<caption class="hidden">{escape(name)}</caption>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody>\n</table>\n</div>'
    )


def _cell(line: Line, at: int) -> str:
    """The first cell of a row is its heading."""
    return f'<th scope="row">{_line(line)}</th>' if at == 0 else f"<td>{_line(line)}</td>"


def _line(line: Line) -> str:
    return "".join(map(_inline, line))


def _inline(part: Inline) -> str:
    if isinstance(part, Code):
        return f"<code>{escape(part.text)}</code>"
    if isinstance(part, Link):
        return f'<a href="{escape(part.page + SUFFIX if part.page else part.href)}">{escape(part.text)}</a>'
    return escape(part)


def _anchor(text: str) -> str:
    return re.sub(r"[^a-z0-9_]+", "-", text.lower()).strip("-")
