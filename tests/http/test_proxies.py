"""Which proxy a url goes through: the variables in each form that people and container runtimes give them."""

from __future__ import annotations

import importlib.util

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waypost.http.proxies import Proxies, read_proxy
from waypost.program.settings import SettingError

P = "http://proxy.example:3128"


@pytest.mark.parametrize(
    ("environ", "url", "found"),
    [
        ({}, "https://a.example", None),
        ({"HTTPS_PROXY": P}, "https://a.example", P),
        ({"HTTPS_PROXY": P}, "http://a.example", None),
        ({"https_proxy": P, "HTTPS_PROXY": "http://wrong.example"}, "https://a.example", P),
        ({"https_proxy": "", "HTTPS_PROXY": P}, "https://a.example", None),
        ({"HTTPS_PROXY": "   "}, "https://a.example", None),
        ({"HTTP_PROXY": P}, "http://a.example", P),
        ({"HTTP_PROXY": P, "REQUEST_METHOD": "POST"}, "http://a.example", None),
        ({"ALL_PROXY": P}, "https://a.example", P),
        ({"all_proxy": P}, "http://a.example", P),
        ({"ALL_PROXY": "nonsense://x", "HTTPS_PROXY": P}, "https://a.example", P),
        ({"HTTPS_PROXY": "proxy.example:3128"}, "https://a.example", P),
        ({"HTTPS_PROXY": "HTTP://proxy.example"}, "https://a.example", "http://proxy.example:80"),
        ({"HTTPS_PROXY": "https://[::1]"}, "https://a.example", "https://[::1]:443"),
        ({"HTTPS_PROXY": "us%40er:p%3Aw@proxy.example:3128/"}, "https://a.example", P),
        # Loopback never goes through a proxy, not even through one that cannot be used.
        ({"ALL_PROXY": "nonsense://x"}, "http://127.0.0.1:8080", None),
        ({"ALL_PROXY": "nonsense://x"}, "http://localhost", None),
        ({"ALL_PROXY": "nonsense://x"}, "http://127.9.9.9", None),
        ({"ALL_PROXY": "nonsense://x"}, "https://[::1]:8443", None),
        ({"ALL_PROXY": "nonsense://x"}, "https://[::ffff:127.0.0.1]", None),
        ({"ALL_PROXY": P}, "http://localhost.example", P),
    ],
)
def test_proxy_of_a_url(environ: dict[str, str], url: str, found: str | None) -> None:
    proxy = Proxies(environ).of(url)
    assert (proxy.url if proxy else None) == found


@pytest.mark.parametrize(
    ("entries", "straight", "through"),
    [
        ("a.example", ["a.example", "b.a.example", "A.EXAMPLE"], ["xa.example", "example"]),
        (".a.example", ["b.a.example"], ["a.example", "xa.example"]),
        ("*.a.example", ["b.a.example"], ["a.example"]),
        ("*", ["a.example", "10.0.0.1"], []),
        ("x, a.example\tb.example", ["a.example", "b.example", "x"], ["c.example"]),
        ("a.example:8443", ["a.example:8443"], ["a.example"]),
        ("a.example:443", ["a.example"], ["a.example:8443"]),
        ("10.0.0.0/8", ["10.1.2.3"], ["11.0.0.1", "a.example"]),
        ("10.1.2.3/8", ["10.9.9.9"], []),
        ("192.0.2.7", ["192.0.2.7"], ["192.0.2.8"]),
        ("192.0.2.7:443", ["192.0.2.7"], ["192.0.2.7:444"]),
        ("::1/128", [], ["a.example"]),
        ("2001:db8::/32", ["[2001:db8::1]"], ["[2001:db9::1]", "10.0.0.1"]),
        ("[2001:db8::1]", ["[2001:db8::1]"], ["[2001:db8::2]"]),
        ("[2001:db8::1]:443", ["[2001:db8::1]"], ["[2001:db8::1]:8443"]),
        ("https://a.example", ["a.example"], []),
        ("http://a.example", [], ["a.example"]),
        ("bücher.example", ["xn--bcher-kva.example"], []),
    ],
)
def test_what_no_proxy_means(entries: str, straight: list[str], through: list[str]) -> None:
    proxies = Proxies({"HTTPS_PROXY": P, "NO_PROXY": entries})
    assert proxies.ignored == []
    assert [host for host in straight if proxies.of(f"https://{host}") is not None] == []
    assert [host for host in through if proxies.of(f"https://{host}") is None] == []


@pytest.mark.parametrize(
    "entry",
    ["::1/129", "10.0.0.0/33", "300.1.1.1", "10.", "192.168.*", "foo*", "[a", "[x]", "a.example:0", "a.example:99999", ":",
     "a:b:c", "ftp://a.example", "/", "%", "a_b@c", "::1/128/3", "."],
)  # fmt: skip
def test_entry_that_means_nothing_is_passed_over_and_known(entry: str) -> None:
    """Mutation: `Proxies` that forgets `ignored`."""
    proxies = Proxies({"HTTPS_PROXY": P, "NO_PROXY": f"b.example,{entry}"})
    assert proxies.ignored == [entry]
    assert proxies.of("https://b.example") is None
    assert proxies.of("https://a.example") is not None


@pytest.mark.parametrize(
    "text",
    ["nonsense://x:1", "htp://127.0.0.1:3128", "socks://127.0.0.1:1080", "socks4://h:1", "http://", "http://:3128", "http://h:0",
     "http://h:99999", "http://h:x", "http://h/path", "http://h?q=1", "http://h#f", "http://[::1", "http://a b", "://h",
     "http://u:s3cret-pass@", "http://u:s3cret-pass@h:x", "u:s3cret-pass@300.1.1.1", "ftp://u:s3cret-pass@h", "\x00", "é\udcff"],
)  # fmt: skip
def test_proxy_that_cannot_be_used_is_one_line_that_names_the_variable(text: str) -> None:
    with pytest.raises(SettingError) as caught:
        read_proxy("ALL_PROXY", text)
    said = str(caught.value)
    assert said.startswith("ALL_PROXY")
    assert "\n" not in said
    assert "unset it" in said
    assert "s3cret" not in said


@pytest.mark.parametrize("text", ["socks5://127.0.0.1", "socks5h://u:p@h:9"])
def test_socks_needs_its_extra(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SettingError, match=r"ALL_PROXY is a socks proxy, which needs .*waypost\[socks\].*unset it"):
        read_proxy("ALL_PROXY", text)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    assert read_proxy("ALL_PROXY", text).url.startswith("socks5")
    with pytest.raises(SettingError, match="255 bytes"):
        read_proxy("ALL_PROXY", f"socks5://u:{'p' * 256}@h")


@given(st.text(st.characters(codec="utf-8"), max_size=30), st.text(st.characters(codec="utf-8"), max_size=30))
def test_no_text_in_a_variable_is_more_than_one_line(proxy: str, entries: str) -> None:
    proxies = Proxies({"ALL_PROXY": proxy, "NO_PROXY": entries})
    assert proxies.of("http://127.0.0.1") is None
    try:
        proxies.of("https://dest.example")
    except SettingError as error:
        assert "\n" not in str(error)
