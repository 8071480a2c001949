"""The filter `e164`: a phone number as people write it becomes `+4930123456`.

Takes a text or number, and the country whose numbers are written without a prefix. Gives the number, or a Fault that does not name it. The only
importer of phonenumbers, which `waypost[phone]` brings: its tables of every country's numbers are two megabytes that few destinations need.
"""

from __future__ import annotations

from typing import Any

from waypost.lang import values
from waypost.lang.errors import LangError
from waypost.lang.values import Fault

NEEDED = "the filter `e164` needs one more package: pip install 'waypost[phone]'"


def check(country: str | None = None) -> None:
    """Raises LangError where numbers cannot be read, or none of that country."""
    try:
        import phonenumbers
    except ImportError:
        raise LangError("filter_args", NEEDED, 0, 0) from None
    if country is not None and country.upper() not in phonenumbers.SUPPORTED_REGIONS:
        help_text = "a country is two letters, such as `e164('DE')`"
        raise LangError("filter_args", f"`{country[:20]}` is no country that has phone numbers", 0, 0, help=help_text)


def e164(value: Any, country: str) -> str:
    try:
        import phonenumbers
    except ImportError:
        raise Fault("filter", NEEDED) from None
    try:
        found = phonenumbers.parse(values.to_string(value), country.upper())
    except phonenumbers.NumberParseException:
        raise Fault("filter", "found no phone number") from None
    if not phonenumbers.is_possible_number(found):
        raise Fault("filter", "found a phone number that is too short or too long")
    return str(phonenumbers.format_number(found, phonenumbers.PhoneNumberFormat.E164))
