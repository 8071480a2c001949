"""Values: number tokens survive, the conversion table is closed, times are exact."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waypost.lang import values
from waypost.lang.values import Fault, Num

TOKENS = [
    "0",
    "-0",
    "1",
    "-1",
    "1.0",
    "1.50",
    "1e2",
    "1E+2",
    "1E400",
    "-1e-400",
    "12345678901234567890123",
    "9" * 401,
    "9" * 5000,
]


@pytest.mark.parametrize("token", TOKENS)
def test_number_tokens_survive(token: str) -> None:
    raw = f'[{{"a":{token}}}]'.encode()
    value = values.decode(raw)
    assert values.number_text(value[0]["a"]) == token
    assert values.encode(value) == raw


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"01",
        b"1.",
        b".5",
        b"NaN",
        b'"\\ud800"',
        b'"\xff"',
        b'[-0,"\\ud800"]',
        b'[-0,"\x01"]',
        b"[1,]",
        b"-",
        b"{}{}",
    ],
)
def test_error_malformed(raw: bytes) -> None:
    with pytest.raises(values.Malformed):
        values.decode(raw)


def test_error_too_deep() -> None:
    with pytest.raises(values.TooDeep):
        values.decode(b"[" * 5000 + b"]" * 5000)
    values.decode(b"[" * 256 + b"]" * 256)


CONVERSIONS: list[tuple[str, Any, Any]] = [
    ("string", "x", "x"),
    ("string", 5, "5"),
    ("string", Num("1.50"), "1.50"),
    ("string", Num("-0"), "0"),
    ("string", Num("-0.0"), "0"),
    ("string", Num("0e9999999999"), "0"),
    ("string", Num("12345.0"), "12345"),
    ("string", Num("1.2345E4"), "12345"),
    ("string", Num("-1.2345e+4"), "-12345"),
    ("string", Num("1234500e-2"), "12345"),
    ("string", Num("0.0012e5"), "120"),
    ("string", Num("1780921717355446273.0"), "1780921717355446273"),
    ("string", Num("9007199254740993.00"), "9007199254740993"),
    ("string", Num("1e21"), "1000000000000000000000"),
    ("string", Num("12345.5"), "12345.5"),
    ("string", Num("1e-7"), "1e-7"),
    ("string", Num("1.2345e3"), "1.2345e3"),
    ("string", Num("1e400"), "1e400"),
    ("string", Num("1E99999999999999999999"), "1E99999999999999999999"),
    ("string", Num("1e-99999999999999999999"), "1e-99999999999999999999"),
    ("string", 12345.0, "12345"),
    ("string", 0.5, "0.5"),
    ("string", True, Fault),
    ("string", [], Fault),
    ("string", {}, Fault),
    ("number", 5, 5),
    ("number", "5", 5),
    ("number", "1.50", Num("1.50")),
    ("number", " 5", Fault),
    ("number", "0x10", Fault),
    ("number", "", Fault),
    ("number", "1e5", Num("1e5")),
    ("number", "٣", Fault),
    ("number", True, Fault),
    ("number", "Infinity", Fault),
    ("number", "1_000", Fault),
    ("integer", 5, 5),
    ("integer", Num("2.0"), 2),
    ("integer", Num("1e3"), 1000),
    ("integer", Num("2.5"), Fault),
    ("integer", "7", 7),
    ("integer", Num("1E400"), Fault),
    ("integer", False, Fault),
    ("integer", Num("-0"), 0),
    ("boolean", True, True),
    ("boolean", "true", Fault),
    ("boolean", 1, Fault),
    ("boolean", 0, Fault),
    ("object", {}, {}),
    ("object", [], {}),
    ("object", [1], Fault),
    ("object", "", Fault),
    ("array", [], []),
    ("array", {}, Fault),
    ("array", "x", Fault),
    ("datetime", "2026-11-24T10:00:00.123Z", "2026-11-24T10:00:00.123Z"),
    ("datetime", "2026-11-24", "2026-11-24"),
    ("datetime", "2026-11-24T10:00:00+05:30", "2026-11-24T10:00:00+05:30"),
    ("datetime", "2026-11-24T10:00", "2026-11-24T10:00"),
    ("datetime", "2026-11-24 10:00:00", "2026-11-24T10:00:00.000Z"),
    ("datetime", "2026-11-24t10:00:00z", "2026-11-24T10:00:00.000Z"),
    ("datetime", 1700000000, "2023-11-14T22:13:20.000Z"),
    ("datetime", 1700000000123, "2023-11-14T22:13:20.123Z"),
    ("datetime", 1700000000123456, "2023-11-14T22:13:20.123456Z"),
    ("datetime", Num("1700000000.5"), "2023-11-14T22:13:20.500Z"),
    ("datetime", "1700000000", Fault),
    ("datetime", "2026-02-30", Fault),
    ("datetime", "2026-11-24T24:00:00Z", Fault),
    ("datetime", "2026-11-24T23:59:60Z", Fault),
    ("datetime", "2026-W01-1T00:00:00.000Z", Fault),
    ("datetime", "20261124T100000Z", Fault),
    ("datetime", "0000-01-01T00:00:00.000Z", Fault),
    ("datetime", "2026-11-24T10:00:00.000", "2026-11-24T10:00:00.000"),
    ("datetime", "2026-11-24T10:00:0a.000Z", Fault),
    ("datetime", "2026-11-24T10:00:00.0x0Z", Fault),
    ("datetime", True, Fault),
    ("datetime", Num("1E400"), Fault),
    ("datetime", "9999-12-31T23:59:59-01:00", Fault),
    ("datetime", "٢٠٢٦-11-24T10:00:00.000Z", Fault),
    ("unix", "1970-01-01T00:00:01.999Z", 1),
    ("unix", "1969-12-31T23:59:59.5Z", -1),
    ("unix", 99_999_999_999, 99_999_999_999),
    ("unix_ms", "1970-01-01T01:00:00+01:00", 0),
    ("unix_ms", Num("1.0015"), 1001),
    ("unix_us", "1970-01-01T00:00:00.123456789Z", 123456),
    ("unix", 100_000_000_000, 100_000_000),
    ("unix", 100_000_000_000_000, 100_000_000),
]


@pytest.mark.parametrize(("name", "value", "wanted"), CONVERSIONS)
def test_conversion(name: str, value: Any, wanted: Any) -> None:
    if wanted is Fault:
        with pytest.raises(Fault) as caught:
            values.TYPES[name](value)
        assert caught.value.reason == "wrong_type"
    else:
        found = values.TYPES[name](value)
        assert (values.encode(found), type(found)) == (values.encode(wanted), type(wanted))


@given(st.datetimes(), st.sampled_from(["datetime", "unix", "unix_ms", "unix_us"]))
def test_every_time_form_means_the_same_instant(moment: Any, name: str) -> None:
    text = moment.isoformat(timespec="milliseconds") + "Z"
    if name == "datetime":
        assert values.to_datetime(text) == text
    micros = values.to_unix_us(text)
    assert values.to_unix_us(values.time_text(micros)) == micros


@given(st.text(alphabet="0123456789-T:.Z+ zW", min_size=20, max_size=26))
def test_the_quick_judgement_of_a_time_agrees_with_the_slow_one(text: str) -> None:
    try:
        found: Any = values.to_datetime(text)
    except Fault:
        found = None
    try:
        _, valid = values._text_us(text)
    except Fault:
        assert found is None
    else:
        assert (found == text) == valid


@given(st.integers(-(10**30), 10**30), st.integers(0, 30), st.sampled_from(["", "0", "000"]), st.sampled_from("eE"))
def test_a_whole_number_is_one_text_however_it_is_written(number: int, shift: int, zeros: str, mark: str) -> None:
    digits, sign = str(abs(number)).zfill(shift + 1), "-" if number < 0 else ""
    whole, fraction = digits[: len(digits) - shift].lstrip("0") or "0", digits[len(digits) - shift :]
    token = f"{sign}{whole}.{fraction}{zeros}0{mark}{shift}"
    assert values.to_string(values.number_token(token)) == str(number)
    assert values.to_string(values.number_token(f"{number}.0{zeros}")) == str(number)
    assert values.to_string(values.number_token(f"{number}.{zeros}5")) == f"{number}.{zeros}5"
