"""Signatures of requests (families D and X): what is signed, where the signature goes, and that its key is a secret."""

from __future__ import annotations

from waypost import plan as p
from waypost.compiler.report.diagnostic import Report
from waypost.compiler.spec import RequestSpec, SignSpec, Spec, Val


def check(request: RequestSpec, spec: Spec, report: Report) -> None:
    sign = request.sign
    if sign is None:
        return
    _sent(sign, report)
    _of_body(request, sign, report)
    if not sign.key.broken:
        check_secret(sign.key, "the key of a signature", spec, report)


def _sent(sign: SignSpec, report: Report) -> None:
    written = [*sign.headers.values(), *sign.query.values()]
    if not written or any(val.broken or p.refers(val.node, "signature") for val in written):
        return
    message = "the signature is made, and stands in no header and no parameter"
    report.say("D123", message, written[0].span, help='write `"{{ signature }}"` where the destination looks for it')


def _of_body(request: RequestSpec, sign: SignSpec, report: Report) -> None:
    """A signature that does not hold the body proves nothing of it."""
    if request.body is None or sign.text.broken or p.refers(sign.text.node, "body"):
        return
    help = "write `{{ body }}` where the destination expects it; or excuse the line where it signs no body"
    report.say("D124", "what is signed does not hold the body", sign.text.span, "anybody could send another one", help)


def check_secret(key: Val, of: str, spec: Spec, report: Report) -> None:
    """Whether a secret setting holds it."""
    named = p.settings_in(key.node)
    known = [spec.settings[name].setting for name in named if name in spec.settings]
    if named and (len(known) < len(named) or any(setting.secret for setting in known)):
        return
    what = f"the setting `{named[0]}`" if named else "a constant"
    label = "whoever knows it can send anything"
    help = (
        "give the setting `secret: true`"
        if named
        else 'make it a setting with `secret: true`, and write `"{{ settings.… }}"`'
    )
    report.say("X108", f"{what} is {of}, and is no secret", key.span, label, help)
