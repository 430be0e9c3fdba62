"""Where webhooks may go: by URL, and by the IP address that is then connected to."""

from ipaddress import ip_address

import pytest

from refund_bridge.delivering.where import (
    AddressRefusedError,
    is_allowed_ip,
    is_public,
    require_allowed_url,
)


@pytest.mark.parametrize(
    "url",
    [
        "https://shop.example.com/hooks",
        "https://shop.example.com:443/hooks?source=refunds",
        "https://8.8.8.8/",
        "https://[2606:4700:4700::1111]/",
        "https://xn--bcher-kva.example/",
    ],
)
def test_public_https_addresses_may_be_used(url: str) -> None:
    for local in (False, True):
        require_allowed_url(url, local=local)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://shop.example.com/", "https"),
        ("ftp://shop.example.com/", "https"),
        ("shop.example.com", "host"),
        ("https://", "host"),
        ("https://shop.example.com:8443/", "443"),
        ("https://shop.example.com:0/", "host"),
        ("https://shop.example.com:99999/", "not a URL"),
        ("https://user:" + "word@shop.example.com/", "user name"),
        ("https://shop.example.com/#part", "fragment"),
        ("https://shop.example.com/a b", "ASCII"),
        ("https://shop.example.com/\r\nX: y", "ASCII"),
        ("https://shop.example.com\\@127.0.0.1/", "ASCII"),
        ("https://bücher.example/", "ASCII"),
        ("https://localhost/", "public internet"),
        ("https://intranet/", "public internet"),
        ("https://a.localhost./", "public internet"),
        ("https://127.0.0.1/", "public"),
        ("https://10.0.0.1/", "public"),
        ("https://[::1]/", "public"),
        ("https://[::ffff:8.8.8.8]/", "public"),
        ("https://shop.example.com/" + "a" * 2048, "longer"),
    ],
)
def test_any_other_url_is_refused_with_its_reason(url: str, why: str) -> None:
    with pytest.raises(AddressRefusedError, match=why):
        require_allowed_url(url, local=False)


@pytest.mark.parametrize("url", ["http://127.0.0.1:4242/hooks", "https://127.0.0.1:8443/"])
def test_a_local_stage_may_use_this_machine_and_no_other_stage(url: str) -> None:
    require_allowed_url(url, local=True)
    with pytest.raises(AddressRefusedError):
        require_allowed_url(url, local=False)


@pytest.mark.parametrize(
    "url", ["http://localhost:4242/", "http://10.0.0.1/", "ftp://127.0.0.1/", "http://127.0.0.2/"]
)
def test_a_local_stage_may_use_nothing_else_of_that_kind(url: str) -> None:
    with pytest.raises(AddressRefusedError):
        require_allowed_url(url, local=True)


@pytest.mark.parametrize(
    "ip",
    [
        "0.0.0.0",  # noqa: S104 - refused, not bound to
        "0.1.2.3",
        "10.1.2.3",
        "100.64.0.1",
        "127.0.0.1",
        "127.8.8.8",
        "169.254.169.254",
        "172.16.0.1",
        "192.0.0.8",
        "192.0.0.9",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.0.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::7f00:1",
        "::ffff:127.0.0.1",
        "::ffff:8.8.8.8",
        "64:ff9b::7f00:1",
        "64:ff9b::808:808",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:db8::1",
        "2002:7f00:1::1",
        "2002:808:808::1",
        "3fff::1",
        "5f00::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "ff02::1",
    ],
)
def test_no_address_inside_a_network_or_of_special_use_is_public(ip: str) -> None:
    assert not is_public(ip_address(ip))
    assert not is_allowed_ip(ip, host="shop.example.com", local=True)


@pytest.mark.parametrize("ip", ["8.8.8.8", "104.16.0.1", "2606:4700:4700::1111", "2a00:1450::1"])
def test_what_is_routed_globally_is_public(ip: str) -> None:
    assert is_public(ip_address(ip))
    assert is_allowed_ip(ip, host="shop.example.com", local=False)


def test_only_the_host_127_0_0_1_itself_leads_to_this_machine_and_only_locally() -> None:
    assert is_allowed_ip("127.0.0.1", host="127.0.0.1", local=True)
    assert not is_allowed_ip("127.0.0.1", host="127.0.0.1", local=False)
    assert not is_allowed_ip("127.0.0.1", host="shop.example.com", local=True)
    assert not is_allowed_ip("127.0.0.1", host="127.1", local=True)
    assert not is_allowed_ip("not an address", host="not an address", local=True)
