"""The checks of `$from` as generated statements: text and times in line, any other type through its conversion, the rest through one call.

Takes a From node and the Values that it adds to. Gives the Expr that holds what the checks leave; not `default` and `required`.
"""

from __future__ import annotations

from waypost import plan as p
from waypost.program import support
from waypost.program.generated.access import Values
from waypost.program.generated.unchanged import plain_names
from waypost.program.generated.writer import Expr

NUMBERS = ("number", "integer", "unix", "unix_ms", "unix_us")


def checks(v: Values, node: p.From) -> Expr:
    bare = p.From(of=node.of, type=node.type, nulls=node.nulls, default=node.default, required=node.required)
    if node == bare and node.type is None and node.nulls == "keep":
        of = v.value(node.of)
        return v.assign(of.text, of.form)
    if node.type == "object" and node.nulls == "omit" and node == bare and isinstance(node.of, p.Path):
        return v.assign(f"as_object({v.operand(node.of)})", "out")
    if inline_text(node):
        return _text_checks(v, node)
    if node == bare and node.type == "datetime" and node.nulls == "omit":
        of = v.scalar(node.of)
        source = of.text if of.form != "out" else v.decoded(of)
        return _instant(v, source)
    of = v.scalar(node.of, "number" if node.type in NUMBERS else "free")
    check = v.w.bind("check", support.checker(node))
    return v.assign(f"{check}({v.decoded(of)}, now)", "value")


def _instant(v: Values, source: str) -> Expr:
    """`type: datetime`: the form that almost every event has is judged in line, and stays as it is."""
    result = v.w.fresh("time")
    # `[23:]` of a text of 24 characters is its last one; what is no text cannot be sliced.
    with v.w.block("try:"):
        with v.w.block(f"if {source}[4:22:3] == '--T::.' and {source}[23:] == 'Z':"):
            v.w.line(f"fromisoformat({source})")
            v.w.line(f"{result} = {source}")
        with v.w.block("else:"):
            v.w.line(f"{result} = datetime_of({source})")
    with v.w.block("except (ValueError, TypeError):"):
        v.w.line(f"{result} = datetime_of({source})")
    return Expr(result, "text")


def own(v: Values, key: str, node: p.Value, target: str, needed: bool) -> Expr | None:
    """A field that has its own name in the event, and is sent as the decoder gives it where nothing is wrong; None for any other.

    `target` is where the message holds it. Text has passed its checks while it was decoded; a time is judged with all others of the chunk
    (mapped_chunk.py), for which the local is kept in the Expr; so it is none that `require` could look at (`needed`).
    """
    if not isinstance(node, p.From) or node.default is not None or not isinstance(node.of, p.Path):
        return None
    if plain_names(node.of.path) != (key,):
        return None
    v.slot((key,), "scalar")
    if not v.layout.at((key,)).decoded:
        return None
    if inline_text(node):
        return _own_text(v, node, target)
    if node == p.From(of=node.of, type="datetime", nulls="omit") and not needed:
        source = v.slot((key,), "scalar").text
        result = v.assign(f"{source} if {source}.__class__ is str else PLAIN", "time", "time")
        with v.w.block(f"if {result.text} is not {source} and {source} is not MISSING:"):
            v.w.line(f"{target} = datetime_of({source})")
        return Expr(result.text, "time", stored=True)
    return None


def _own_text(v: Values, node: p.From, target: str) -> Expr:
    of = v.scalar(node.of)
    source = of.text
    _promised(v, node)
    result = v.assign(source, "text", "text").text
    # An absent field is left alone. Empty text is let through by the decoder: it is common, and costs little here.
    odd = f"not {result} or {result}.__class__ is not str" if node.empty == "omit" else f"{result}.__class__ is not str"
    if not node.required:
        odd = f"({odd}) and {result} is not MISSING"
    with v.w.block(f"if {odd}:"):
        v.w.line(f"{result} = {_reader(node)}({source}){' or MISSING' if node.empty == 'omit' else ''}")
        if node.max_length is not None:
            with v.w.block(f"if {result} is not MISSING and len({result}) > {node.max_length}:"):
                v.w.line(_over(node, result))
        if node.required:
            with v.w.block(f"if {result} is MISSING:"):
                v.w.line("raise Fault('required', 'a value is required and there is none')")
        v.w.line(f"{target} = {result}")
    return Expr(result, "text", sure=node.required, stored=True)


def _reader(node: p.From) -> str:
    if node.invalid == "omit":
        return "string_or_missing"
    return "filled_string_of" if node.empty == "omit" else "string_of"


def _over(node: p.From, text: str) -> str:
    """What is done with a text that is too long."""
    if node.invalid == "omit":
        return f"{text} = MISSING"
    return f"raise Fault('too_long', f'{{len({text})}} characters, at most {node.max_length} are allowed')"


def _text_checks(v: Values, node: p.From) -> Expr:
    of = v.scalar(node.of)
    read = _reader(node)
    source = of.text if of.form != "out" else v.decoded(of)
    sure = of.form == "slot" and _promised(v, node)
    if of.form == "text":
        result = v.assign(f"{source} or MISSING" if node.empty == "omit" else source, "text", "text")
    elif node.empty == "omit":
        quick = f"{source} if {source}.__class__ is str and {source} else {read}({source}) or MISSING"
        result = v.assign(quick, "text", "text")
    else:
        result = v.assign(f"{source} if {source}.__class__ is str else {read}({source})", "text", "text")
    if node.max_length is not None:
        # What is `sure` and still a text of its own was short enough for the decoder.
        other = f"{result.text} is not {source} and " if sure else ""
        with v.w.block(f"if {other}{result.text} is not MISSING and len({result.text}) > {node.max_length}:"):
            v.w.line(_over(node, result.text))
    return result


def _promised(v: Values, node: p.From) -> bool:
    """Notes what a text must be for the fast decoder to take it; whether that can be relied on here.

    A member of an object that is copied as well is read by a decoder of its own, behind which the general loader stands; what is copied or
    merged elsewhere stays raw.
    """
    if not isinstance(node.of, p.Path):
        return False
    steps = plain_names(node.of.path) or ()
    slot = v.layout.at(steps)
    if node.max_length is not None:
        slot.longest = min(slot.longest or node.max_length, node.max_length)
    if v.scope.kind is None or not slot.decoded:
        return False
    return all(v.layout.at(steps[:end]).nested for end in range(1, len(steps)))


def inline_text(node: p.From) -> bool:
    plain = p.From(
        of=node.of,
        type="string",
        nulls="omit",
        empty=node.empty,
        max_length=node.max_length,
        invalid=node.invalid,
        default=node.default,
        required=node.required,
    )
    return node == plain
