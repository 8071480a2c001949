"""Pages about destinations, made from their plans alone: content first (blocks), then Markdown or HTML.

`destination.py` and `directory.py` say what a page holds, `markdown.py` and `html.py` how it looks. Whatever a spec holds is text to all of
them: it is escaped by the writer, so that no spec can put markup into a page.
"""
