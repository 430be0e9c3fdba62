"""What is stored of an address, and how its secrets change."""

import json
from typing import Any

import pytest

from refund_bridge.delivering.address import (
    SigningSecret,
    UnreadableAddressError,
    WebhookAddress,
    address_text,
    parse_address,
    unknown_types,
)

ONE, TWO, THREE = ("whsec_" + letter * 40 for letter in "abc")
NOW = 1_700_000_000_000
ADDRESS = WebhookAddress(
    id="we_00000000000000aa",
    url="https://shop.example.com/",
    secrets=(SigningSecret(ONE),),
    types=("refund.failed",),
)


def test_what_is_stored_is_read_again() -> None:
    two = ADDRESS.rotated(TWO, now_ms=NOW, old_until_ms=NOW + 1)
    for address in (ADDRESS, two):
        assert parse_address(address_text(address)) == address


def test_members_of_a_later_release_are_no_obstacle() -> None:
    told = json.loads(address_text(ADDRESS)) | {"schema_version": 2, "colour": "blue"}
    assert parse_address(json.dumps(told)) == ADDRESS


@pytest.mark.parametrize(
    "changed",
    [
        {"id": "we_1"},
        {"id": 7},
        {"url": None},
        {"secrets": []},
        {"secrets": [{"text": "whsec_short"}]},
        {"secrets": [{"text": ONE, "until_ms": "soon"}]},
        {"secrets": "whsec"},
        {"api_version": "latest"},
        {"types": [1]},
        {"types": None},
    ],
)
def test_anything_else_is_no_address_and_is_not_repeated(changed: dict[str, Any]) -> None:
    text = json.dumps(json.loads(address_text(ADDRESS)) | changed)
    with pytest.raises(UnreadableAddressError) as error:
        parse_address(text)
    assert "whsec" not in str(error.value)
    assert error.value.__cause__ is None


@pytest.mark.parametrize("text", ["", "null", "[]", "7", "{", "[" * 100_000])
def test_nor_is_what_is_no_object(text: str) -> None:
    with pytest.raises(UnreadableAddressError):
        parse_address(text)


def test_a_new_secret_signs_beside_the_old_one_until_that_is_over() -> None:
    rotated = ADDRESS.rotated(TWO, now_ms=NOW, old_until_ms=NOW + 1000)
    assert rotated.signing(NOW + 999) == (ONE, TWO)
    assert rotated.signing(NOW + 1000) == (TWO,)


def test_until_when_two_are_valid_is_known() -> None:
    rotated = ADDRESS.rotated(TWO, now_ms=NOW, old_until_ms=NOW + 1000)
    assert ADDRESS.rotating_until_ms(NOW) is None
    assert rotated.rotating_until_ms(NOW) == NOW + 1000
    assert rotated.rotating_until_ms(NOW + 1000) is None


def test_at_most_two_are_ever_valid_and_the_receivers_is_one_of_them() -> None:
    twice = ADDRESS.rotated(TWO, now_ms=NOW, old_until_ms=NOW + 1000).rotated(
        THREE, now_ms=NOW + 1, old_until_ms=NOW + 1001
    )
    assert twice.signing(NOW + 2) == (ONE, THREE)
    assert twice.signing(NOW + 1001) == (THREE,)


def test_an_old_secret_may_be_over_at_once() -> None:
    assert ADDRESS.rotated(TWO, now_ms=NOW, old_until_ms=NOW).signing(NOW) == (TWO,)


def test_no_secret_is_ever_shown() -> None:
    assert "whsec" not in repr(ADDRESS)
    assert "whsec" not in repr(ADDRESS.secrets)


def test_without_a_choice_every_type_is_wanted() -> None:
    everything = WebhookAddress(id=ADDRESS.id, url=ADDRESS.url, secrets=ADDRESS.secrets)
    assert everything.wants("refund.created")
    assert everything.wants("refund_bridge.test")
    assert not ADDRESS.wants("refund.created")
    assert ADDRESS.wants("refund_bridge.test")


def test_a_type_that_no_event_has_is_named() -> None:
    assert unknown_types(["refund.failed", "charge.refunded"]) == ("charge.refunded",)
