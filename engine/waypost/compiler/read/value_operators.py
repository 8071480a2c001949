"""The operators of value positions, one function each: a map such as `{$from: …, type: string}` becomes a Val.

Takes the Values reader, the map, what stands behind the operator, and the Place. Gives a Val; what is missing or misplaced is reported.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from waypost import plan as p
from waypost.compiler.read import foreign_words, item_operators, several, units
from waypost.compiler.read.closed_maps import describe
from waypost.compiler.read.document import Map, Node, Scalar, Seq
from waypost.compiler.read.lang_faults import report_fault
from waypost.compiler.read.operators import OPERATORS, is_operator
from waypost.compiler.read.places import Place
from waypost.compiler.read.values import Values
from waypost.compiler.report.diagnostic import Diagnostic, Fix, Label, Report
from waypost.compiler.report.suggest import nearest
from waypost.compiler.spec import Val
from waypost.lang import jsonpath, patterns
from waypost.lang.errors import LangError
from waypost.lang.formats import TEXT_FORMATS
from waypost.lang.values import TYPES

Reader = Callable[["Values", Map, Node, "Place"], Val]


def merge(values: Values, node: Map, held: Node, place: Place) -> Val:
    operands = tuple(values.value(item, place) for item in (held.items if isinstance(held, Seq) else (held,)))
    if not operands:
        values.add("M210", "`$merge` has nothing to merge", held.span, "expected an object or a list of objects")
    nodes, parts, spans = values.entries(node, place)
    return Val(
        p.Merge(of=[operand.node for operand in operands], entries=nodes),
        node.span,
        (*operands, *parts),
        keys=spans,
    )


def literal(values: Values, node: Map, held: Node, place: Place) -> Val:
    return Val(p.Const(value=as_it_is(values, held)), node.span, scalar=held if isinstance(held, Scalar) else None)


def as_it_is(values: Values, held: Node) -> Any:
    """What stands in a `$literal`. A second one in it can only have been meant to be read."""
    inside: list[Node] = [held]
    while inside:
        node = inside.pop()
        if isinstance(node, Seq):
            inside += node.items
        elif isinstance(node, Map):
            for name, value in node.entries:
                inside.append(value)
                if name.text == "$literal":
                    values.add(
                        "M218",
                        "inside `$literal` nothing is evaluated, so `$literal` is only a key here",
                        name.span,
                        "it is sent as it stands",
                        "one `$literal` around the whole is enough",
                    )
    return values.closed.constant(held)


def first(values: Values, node: Map, held: Node, place: Place) -> Val:
    if not isinstance(held, Seq) or not held.items:
        values.add(
            "M210",
            "`$first` takes a list of values",
            held.span,
            f"found {describe(held)}" if not isinstance(held, Seq) else "the list is empty",
        )
        return Val(p.Const(value=None), node.span, broken=True)
    parts = tuple(values.value(item, place) for item in held.items)
    return Val(p.First(of=[part.node for part in parts]), node.span, parts)


def pick(values: Values, node: Map, held: Node, place: Place) -> Val:
    return _keyed(values, node, held, place, p.Pick, "`$pick`", "take", "picked")


def drop(values: Values, node: Map, held: Node, place: Place) -> Val:
    return _keyed(values, node, held, place, p.Drop, "`$drop`", "leave out", "dropped")


def _keyed(
    values: Values,
    node: Map,
    held: Node,
    place: Place,
    make: type[p.Pick] | type[p.Drop],
    what: str,
    verb: str,
    done: str,
) -> Val:
    of = values.value(held, place)
    keys = node.get("keys")
    if keys is None:
        values.add("S103", f"{what} needs `keys`", node.entries[0][0].span, "missing here", f"list the keys to {verb}")
    if isinstance(keys, Scalar) and "{{" in keys.text:
        setting = _setting(values, keys, place, "keys")
        return Val(make(of=of.node, keys=[], keys_of=setting), node.span, (of,), words=node.spans)
    names = values.closed.texts(keys, "`keys`")
    seen: set[str] = set()
    for name in names:
        if name.text in seen:
            values.add("M211", f"the key `{name.text}` is {done} twice", name.span, help="remove one of the two")
        seen.add(name.text)
        no_path(values, name, "`keys` holds names of keys")
        if isinstance(of.node, p.Path) and not of.node.path.startswith("$item"):
            values.names.known_field(
                jsonpath.parse(of.node.path).steps or ("?",) if of.node.path != "$" else (), name.text, name.span
            )
    return Val(
        make(of=of.node, keys=list(dict.fromkeys(name.text for name in names))),
        node.span,
        (of,),
        keys={name.text: name.span for name in names},
        words=node.spans,
    )


def when(values: Values, node: Map, held: Node, place: Place) -> Val:
    test = values.condition(held, place, "`$when`")
    then_node, else_node = node.get("then"), node.get("else")
    if then_node is None:
        values.add("S103", "`$when` needs `then`", node.entries[0][0].span, "missing here")
    then = values.value(then_node, place) if then_node is not None else Val(p.Const(value=None), node.span)
    other = values.value(else_node, place) if else_node is not None else None
    parts = (then,) if other is None else (then, other)
    if test is None:
        return Val(p.Const(value=None), node.span, parts, broken=True)
    built = p.When(test=test.text, then=then.node, otherwise=other.node if other else None)
    return Val(built, node.span, parts, condition=test, words=node.spans)


def lookup(values: Values, node: Map, held: Node, place: Place) -> Val:
    of = values.value(held, place)
    table_node, else_node = node.get("in"), node.get("else")
    if table_node is None:
        values.add(
            "S103", "`$lookup` needs `in`", node.entries[0][0].span, "missing here", "write `in: {key: constant}`"
        )
    table_of = None
    if isinstance(table_node, Scalar) and "{{" in table_node.text:
        table_of, table_node = _setting(values, table_node, place, "in"), None
    table = values.closed.map(table_node, "`in`")
    for name, _ in table.entries if table else ():
        values.fixed_key(name)
        if name.text in OPERATORS:
            help_text = 'write the table out, or `in: "{{ settings.NAME }}"` with a setting of `type: map`'
            said = f"`in` holds constants, so `{name.text}` is only a key of its table here"
            values.add("M218", said, name.span, "this is not evaluated", help_text)
    constants = (
        {name.text: constant(values, value, "`in` holds constants") for name, value in table.entries} if table else {}
    )
    other = values.value(else_node, place) if else_node is not None else None
    parts = (of,) if other is None else (of, other)
    return Val(
        p.Lookup(of=of.node, table=constants, otherwise=other.node if other else None, table_of=table_of),
        node.span,
        parts,
        keys={name.text: name.span for name, _ in table.entries} if table else {},
        words=node.spans,
    )


def use(values: Values, node: Map, held: Node, place: Place) -> Val:
    """A value of `values:`, as if it were written here."""
    if not isinstance(held, Scalar) or held.kind != "text":
        values.add("S104", "`$use` takes the name of a value", held.span, f"found {describe(held)}")
        return Val(p.Const(value=None), node.span, broken=True)
    found = values.named.begin(held)
    if found is None:
        return Val(p.Const(value=None), node.span, broken=True)
    built = values.value(found, place)
    values.named.end()
    return built


def checked(values: Values, node: Map, held: Node, place: Place) -> Val:
    of = filtered(values, values.value(held, place), node.get("filter"), place)
    closed = values.closed
    kind = node.get("type")
    type_name = closed.one_of(kind, TYPES, "`type`", "") or None
    default_node, enum_node = node.get("default"), node.get("enum")
    what = "`default` and `enum` hold constants"
    default = None if default_node is None else p.Const(value=constant(values, default_node, what))
    if enum_node is not None and not (isinstance(enum_node, Seq) and enum_node.items):
        closed.add("S104", "`enum` is a list of constants", enum_node.span, f"found {describe(enum_node)}")
    built = p.From(
        of=of.node,
        nulls=closed.one_of(node.get("nulls"), ("keep", "omit", "empty"), "`nulls`", "omit" if type_name else "keep"),
        empty=closed.one_of(node.get("empty"), ("keep", "omit"), "`empty`", "keep"),
        single=item_operators.single(values, node),
        type=type_name,
        enum=[constant(values, item, what) for item in enum_node.items]
        if isinstance(enum_node, Seq) and enum_node.items
        else None,
        format=closed.one_of(node.get("format"), TEXT_FORMATS, "`format`", "") or None,
        pattern=_pattern(values, node.get("pattern")),
        max_length=closed.integer(node.get("max_length"), "`max_length`", 1),
        max_bytes=closed.integer(node.get("max_bytes"), "`max_bytes`", 1),
        max_age_s=closed.quantity(node.get("max_age"), "`max_age`", units.seconds, units.TIME_HELP),
        max_ahead_s=closed.quantity(node.get("max_ahead"), "`max_ahead`", units.seconds, units.TIME_HELP),
        invalid=closed.one_of(node.get("invalid"), ("error", "omit"), "`invalid`", "error"),
        default=default,
        required=closed.boolean(node.get("required"), "`required`", False),
    )
    return Val(built, node.span, (of,), words=node.spans)


def messages(values: Values, node: Map, held: Node, place: Place) -> Val:
    """The list of certain actions' messages: only in a request's body."""
    names = values.closed.texts(held, "`$messages`")
    if not place.messages:
        values.add("M207", "`$messages` stands only in a request's body", node.entries[0][0].span)
        return Val(p.Const(value=None), node.span, broken=True)
    built = p.Messages(many=True, actions=[name.text for name in names])
    return Val(built, node.span, keys={name.text: name.span for name in names}, broken=not names)


def filtered(values: Values, of: Val, node: Node | None, place: Place) -> Val:
    """`filter:` of `$from`: filters over any value, as they stand behind a value in a template."""
    if node is None:
        return of
    if not isinstance(node, Scalar) or node.kind != "text":
        values.add(
            "S104",
            "`filter` is text",
            node.span,
            f"found {describe(node)}",
            'write filters, such as `filter: "sum | round(2)"`',
        )
        return of
    made = values.filters(node, of.node, place)
    if made is None:
        return of
    # What a template computes is judged with that template.
    alone = not isinstance(of.node, (p.Filter, p.Arith, p.Text))
    return Val(made, node.span, (of,), scalar=node if alone else None)


def _setting(values: Values, node: Scalar, place: Place, word: str) -> p.Ref | None:
    """The setting that a template behind `keys` or `in` names."""
    found = values.template(node, place)
    return None if found is None else several.named(values.closed, values.settings, found.node, node, word)


def _pattern(values: Values, node: Node | None) -> str | None:
    """A pattern that can be read."""
    text = values.closed.text(node, "`pattern`")
    try:
        if text:
            patterns.compiled(text)
    except LangError as error:
        if isinstance(node, Scalar):
            report_fault(values.closed, {"pattern": "M214"}, error, node)
        return None
    return text or None


def constant(values: Values, node: Node, what: str) -> Any:
    """A constant where no expression may stand: `{$literal: X}` is X there too, `$$x` the key `$x`, and nothing else is evaluated."""
    if isinstance(node, Seq):
        return [constant(values, item, what) for item in node.items]
    if isinstance(node, Scalar):
        no_path(values, node, what)
        return values.closed.constant(node)
    if [name.text for name, _ in node.entries] == ["$literal"]:
        return as_it_is(values, node.entries[0][1])
    found: dict[str, Any] = {}
    for name, held in node.entries:
        if is_operator(name.text):
            values.add(
                "M218",
                f"{what}, so `{name.text}` is only a key here",
                name.span,
                "this is not evaluated",
                f"a key that is sent is written `${name.text}`; choose between values with `$first: [ … ]` or `$when`",
            )
        values.fixed_key(name)
        found[name.text.removeprefix("$") if name.text.startswith("$$") else name.text] = constant(values, held, what)
    return found


def no_path(values: Values, node: Node, what: str) -> None:
    """A constant that can only have been meant as a path or a template."""
    if not isinstance(node, Scalar) or not (re.match(r"\$(item)?[.\[]", node.text) or "{{" in node.text):
        return
    values.add(
        "M218",
        f"{what}, so `{node.text[:60]}` is only text here",
        node.span,
        "this is not evaluated",
        "choose between values with `$first: [ … ]` or `$when`, or excuse the line when it is the text that you send",
    )


READERS: dict[str, Reader] = {
    "$literal": literal,
    "$merge": merge,
    "$from": checked,
    "$use": use,
    "$first": first,
    "$pick": pick,
    "$drop": drop,
    "$each": item_operators.each,
    "$find": item_operators.find,
    "$get": item_operators.get,
    "$when": when,
    "$lookup": lookup,
    "$messages": messages,
}


def values_reader(report: Report, settings: dict[str, p.Setting]) -> Values:
    """Reads the expressions of one spec with these settings."""
    return Values(report, settings, read_map)


def read_map(values: Values, node: Map, place: Place) -> Val:
    operators = [name for name, _ in node.entries if is_operator(name.text)]
    if not operators:
        return values.object(node, place)
    if len(operators) > 1:
        _several_operators(values, operators)
        return Val(p.Const(value=None), node.span, broken=True)
    operator = operators[0]
    if operator.text not in OPERATORS:
        near = foreign_words.OPERATORS.get(operator.text.lower()) or nearest(operator.text, OPERATORS)
        values.add(
            "M205",
            f"there is no operator `{operator.text}`",
            operator.span,
            f"did you mean `{near}`?" if near else "",
            f"the operators are {', '.join(OPERATORS)}; write a key that begins with `$` as `$${operator.text[1:]}`",
            Fix(operator.span, near, safe=operator.text.lower() not in foreign_words.OPERATORS) if near else None,
        )
        return Val(p.Const(value=None), node.span, broken=True)
    if operator.text != "$merge":
        _words(values, node, operator)
    reader = READERS[operator.text]
    return reader(values, node, node.get(operator.text) or operator, place)


def _several_operators(values: Values, operators: list[Scalar]) -> None:
    """Two `$` words in one map: a word of the operator written with `$`, a key that is sent, or an operator too many."""
    main = next((name for name in operators if name.text in OPERATORS), operators[0])
    others = [name for name in operators if name is not main]
    dressed = [name for name in others if name.text[1:] in OPERATORS.get(main.text, ())]
    for name in dressed:
        label, fix = f"beside `{main.text}` it is `{name.text[1:]}`", Fix(name.span, name.text[1:], safe=True)
        values.add("M205", f"there is no operator `{name.text}`", name.span, label, fix=fix)
    if dressed:
        return
    other = others[0]
    if main.text == "$merge" and other.text not in OPERATORS:
        fix = Fix(other.span, f"${other.text}")
        label, help = "a word of the language, as it is written", f"a key that is sent is written `{fix.text}`"
        values.add("M205", f"there is no operator `{other.text}`", other.span, label, help, fix)
        return
    within = next((name.text for name in operators if name.text in OPERATORS and name.text != "$from"), "$first")
    help = (
        f"put one into the other: `{{$from: {{{within}: …}}, …}}`"
        if any(name.text == "$from" for name in operators)
        else "put one into a value of the other, or give each a key of its own"
    )
    message = f"`{operators[0].text}` and `{operators[1].text}` in one map"
    label_ = Label(operators[1].span, "a map holds at most one operator")
    values.report.add(Diagnostic("M206", message, label_, help, (Label(operators[0].span, "the first one"),)))


def _words(values: Values, node: Map, operator: Scalar) -> None:
    known = OPERATORS[operator.text]
    for name, _ in node.entries:
        if name.text == operator.text or name.text in known:
            continue
        near = nearest(name.text, known)
        owner = next((other for other, words in OPERATORS.items() if name.text in words), None)
        label = (
            f"did you mean `{near}`?"
            if near
            else f"a word of `{owner}`"
            if owner
            else "only `$merge` lets ordinary keys stand beside it"
        )
        values.add(
            "M209",
            f"`{operator.text}` has no word `{name.text}`",
            name.span,
            label,
            f"its words are {', '.join(known)}" if known else "it stands alone",
            Fix(name.span, near, safe=True) if near else None,
        )
