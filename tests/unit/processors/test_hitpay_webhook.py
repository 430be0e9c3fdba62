"""A webhook is genuine or not, and names a charge or none."""

import hashlib
import hmac

import pytest

from refund_bridge.domain.errors import InvalidRequestError
from refund_bridge.processors.hitpay.webhook import charge_id_in, is_signed

BODY = b'{"id": "charge-1", "amount": 1.10}'


def signature(body: bytes, salt: str) -> str:
    return hmac.new(salt.encode(), body, hashlib.sha256).hexdigest()


def test_the_signature_is_hex_hmac_sha256_of_the_raw_body() -> None:
    # A vector of RFC 4231, test case 2
    assert is_signed(
        b"what do ya want for nothing?",
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        ["Jefe"],
    )


@pytest.mark.parametrize("salts", [["old", "new"], ["new", "old"], ["new"]])
def test_any_of_the_salts_fits(salts: list[str]) -> None:
    assert is_signed(BODY, signature(BODY, "new"), salts)


@pytest.mark.parametrize("shape", ["{}", " {}\n"])
def test_case_and_space_around_it_do_not_matter(shape: str) -> None:
    assert is_signed(BODY, shape.format(signature(BODY, "salt")).upper(), ["salt"])


@pytest.mark.parametrize(
    "given",
    [
        None,
        "",
        "0" * 64,
        signature(BODY, "other"),
        signature(BODY + b" ", "salt"),
        signature(BODY, "salt")[:-1],
        signature(BODY, "salt") + "0",
        "ſ" * 64,
        "\ud800",
    ],
)
def test_anything_else_is_not_signed(given: str | None) -> None:
    assert not is_signed(BODY, given, ["salt"])


def test_without_a_salt_nothing_is_signed() -> None:
    assert not is_signed(BODY, signature(BODY, ""), [])


def test_the_charge_is_named_by_its_id() -> None:
    assert charge_id_in(BODY) == "charge-1"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"\xff",
        b"[]",
        b"null",
        b"{}",
        b'{"id": 1}',
        b'{"id": ""}',
        b'{"id": "\\ud800"}',
        b'{"id": "charge 1"}',
        b'{"id": "charge/../1"}',
        b'{"id": "charge#1"}',
        b'{"id": "charge%2f1"}',
        b'{"id": "charge-1\\n"}',
        b'{"id": "' + b"x" * 256 + b'"}',
        b"[" * 100_000,
    ],
)
def test_a_body_without_one_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequestError):
        charge_id_in(body)
