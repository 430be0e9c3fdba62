"""Whom a server of this machine lets in, by what a request says of itself."""

import pytest

from deployed.loopback_gate import refusal

PORT = 4566


@pytest.mark.parametrize("host", ["127.0.0.1:4566", "localhost:4566", "LOCALHOST:4566"])
@pytest.mark.parametrize(
    "more",
    [
        (),
        (("Sec-Fetch-Site", "none"),),
        (("Sec-Fetch-Site", "same-origin"),),
    ],
)
def test_who_names_its_own_address_is_let_in(host: str, more: tuple[tuple[str, str], ...]) -> None:
    assert refusal([("Host", host), *more], PORT) is None
    assert refusal([("host", host), ("origin", f"http://{host}"), *more], PORT) is None


@pytest.mark.parametrize(
    "hosts",
    [
        [],
        [""],
        ["127.0.0.1"],
        ["127.0.0.1:4567"],
        ["localhost"],
        ["0.0.0.0:4566"],
        ["[::1]:4566"],
        ["evil.example:4566"],
        ["127.0.0.1:4566.evil.example"],
        ["localhost:4566", "evil.example:4566"],
        ["localhost:4566", "localhost:4566"],
    ],
)
def test_another_host_is_refused(hosts: list[str]) -> None:
    refused = refusal([("Host", host) for host in hosts], PORT)
    assert refused is not None
    assert refused.status == 421


@pytest.mark.parametrize(
    "header",
    [
        ("Origin", "https://evil.example"),
        ("Origin", "null"),
        ("Origin", ""),
        ("Origin", "http://127.0.0.1:3000"),
        ("Origin", "http://localhost:4566"),
        ("Origin", "https://127.0.0.1:4566"),
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Site", "same-site"),
        ("Sec-Fetch-Site", ""),
    ],
)
def test_another_page_is_refused(header: tuple[str, str]) -> None:
    own = [("Host", "127.0.0.1:4566"), ("Sec-Fetch-Site", "none")]
    refused = refusal([*own, header], PORT)
    assert refused is not None
    assert refused.status == 403


def test_a_host_may_be_let_in_besides_and_no_page_of_another() -> None:
    also = frozenset({"tunnel.example"})
    assert refusal([("Host", "tunnel.example")], PORT, also) is None
    assert refusal([("Host", "tunnel.example"), ("Origin", "https://a")], PORT, also) is not None
    assert refusal([("Host", "other.example")], PORT, also) is not None
