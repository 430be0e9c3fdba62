"""A wrong key and a refused refund look alike at HitPay: both are 403. Which it was is asked."""

from functools import partial
from typing import Any
from unittest.mock import ANY

import pytest

from refund_bridge.domain.instruction import Accepted, CredentialRefused, Outcome, Rejected, Unknown
from refund_bridge.refunding.send import sent_with_a_valid_credential
from tests.unit.processors.adapters import INSTRUCTION, hitpay_refund
from tests.unit.processors.conftest import MakeHitPay
from tests.unit.processors.doubles import FrozenWallClock, StoredKey
from tests.unit.processors.raw_server import RawServer, Script, answer, hang_up, silence

WRONG_KEY = answer(403, {"message": "Invalid business api key"})
TOO_MUCH = answer(403, {"message": "Total refund amount must be less than payment amount."})
CHARGE = answer(200, {"id": "PAY-1"})
NOT_FOUND = {"message": "No query results for model [App\\Business\\Charge] pay-1"}


@pytest.fixture
def sent(make_hitpay: MakeHitPay, clock: FrozenWallClock) -> Any:
    """An instruction as it is sent: once more with another key, if there is one."""

    def send(*scripts: Any) -> tuple[Outcome, RawServer]:
        with RawServer(*scripts) as server:
            ask = partial(make_hitpay(server.url).refund, INSTRUCTION, clock.deadline())
            return sent_with_a_valid_credential(ask), server

    return send


@pytest.mark.parametrize("refusal", [WRONG_KEY, answer(401, {"message": "Unauthenticated."})])
def test_a_refused_key_of_which_there_is_another_costs_nothing(
    sent: Any, key: StoredKey, refusal: Script
) -> None:
    # Given that the key was rotated behind the cache
    key.rotate("key-two")

    # When the instruction is sent, then it is sent again with the other key, and succeeds
    outcome, server = sent(refusal, answer(200, hitpay_refund()))
    assert isinstance(outcome, Accepted)
    keys = [arrival.headers["x-business-api-key"] for arrival in server.arrived]
    assert keys == ["key-one", "key-two"]


def test_a_wrong_key_of_which_there_is_no_other_moves_and_decides_nothing(
    sent: Any, key: StoredKey
) -> None:
    # Given a key that HitPay accepts for nothing
    outcome, server = sent(WRONG_KEY, WRONG_KEY)

    # Then the charge is asked for with it, once, and the instruction is certain not to be executed
    assert outcome == CredentialRefused(ANY, replaced=False)
    assert server.requests == ["POST /v1/refund", "GET /v1/charges/pay-1"]
    assert key.reads == 1


def test_a_refusal_by_403_is_final_where_the_same_key_is_shown_the_charge(sent: Any) -> None:
    outcome, server = sent(TOO_MUCH, CHARGE)
    assert outcome == Rejected("Total refund amount must be less than payment amount.", 403)
    assert server.requests == ["POST /v1/refund", "GET /v1/charges/pay-1"]


@pytest.mark.parametrize(
    "looked_up",
    [answer(401), answer(404, NOT_FOUND), answer(500), answer(200, "x"), silence, hang_up],
)
def test_where_the_charge_is_not_shown_a_403_is_not_taken_for_a_refusal(
    sent: Any, looked_up: Script
) -> None:
    outcome, server = sent(TOO_MUCH, looked_up)
    assert outcome == CredentialRefused(ANY, replaced=False)
    assert len(server.arrived) == 2


def test_another_charge_than_was_asked_for_proves_nothing(sent: Any) -> None:
    outcome, _ = sent(TOO_MUCH, answer(200, {"id": "pay-2"}))
    assert isinstance(outcome, CredentialRefused)


def test_the_other_key_is_refused_too(sent: Any, key: StoredKey) -> None:
    key.rotate("key-two")
    outcome, server = sent(WRONG_KEY, WRONG_KEY, WRONG_KEY)
    assert outcome == CredentialRefused(ANY, replaced=False)
    keys = [arrival.headers["x-business-api-key"] for arrival in server.arrived]
    assert keys == ["key-one", "key-two", "key-two"]


def test_the_other_key_brings_a_refusal_of_the_refund(sent: Any, key: StoredKey) -> None:
    key.rotate("key-two")
    outcome, _ = sent(WRONG_KEY, TOO_MUCH, CHARGE)
    assert isinstance(outcome, Rejected)


@pytest.mark.parametrize("second", [answer(500), silence, hang_up])
def test_what_follows_a_refused_key_decides(sent: Any, key: StoredKey, second: Script) -> None:
    key.rotate("key-two")
    outcome, server = sent(WRONG_KEY, second)
    assert isinstance(outcome, Unknown)
    assert len(server.arrived) == 2


@pytest.mark.parametrize("body", [{"detail": "Insufficient balance"}, {"error_message": "No."}])
def test_a_refusal_has_its_sentence_under_any_of_three_names(sent: Any, body: Any) -> None:
    outcome, _ = sent(answer(400, body))
    assert outcome == Rejected(next(iter(body.values())), 400)


def test_an_empty_message_hides_no_sentence(sent: Any) -> None:
    outcome, _ = sent(answer(422, {"message": " ", "detail": ["x"], "error_message": "No."}))
    assert outcome == Rejected("No.", 422)
