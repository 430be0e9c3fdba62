"""How pages of refunds, and payments, are shown to callers."""

import json
from dataclasses import replace

import pytest

from refund_bridge.contract.refund_object import (
    LIST_BYTES_MAX,
    payment_object,
    refund_list,
    refund_object,
)
from refund_bridge.contract.requests import METADATA_BYTES_MAX
from refund_bridge.domain.payment import payment_key_of
from refund_bridge.domain.refund import Refund
from refund_bridge.reading.listing import LIMIT_MAX, ListQuery, Page
from tests.contract.ledger.examples import a_refund, a_request
from tests.fakes.world import World

# Lambda's limit on what a function answers.
ANSWER_BYTES_MAX = 6 * 1024 * 1024


def a_large_refund(name: str, letter: str) -> Refund:
    """With all the metadata that a caller may give, of this one letter."""
    size = min(500, METADATA_BYTES_MAX // 50 // len(letter.encode()) - 40)
    metadata = {f"{number:040}": letter * size for number in range(50)}
    return a_refund(id=name, request=a_request(metadata=metadata))


def page_of(*refunds: Refund, has_more: bool = False) -> Page:
    return Page(refunds=refunds, payments={}, has_more=has_more)


def test_a_page_shows_each_refund_as_it_is_shown_alone() -> None:
    world = World()
    world.pay()
    world.pay("2")
    refunds = [world.refund("k", amount=2500).refund, world.refund("l", record="pr_2").refund]
    shown = refund_list(world.list_refunds(ListQuery()))
    expected = [
        refund_object(refund, world.ledger.payments[payment_key_of(refund)], with_key=True)
        for refund in sorted(refunds, key=lambda refund: refund.id, reverse=True)
    ]
    assert shown == {"object": "list", "url": "/v1/refunds", "data": expected, "has_more": False}


def test_a_refund_whose_payment_is_gone_is_shown_without_it() -> None:
    shown = refund_list(page_of(a_refund(), has_more=True))
    assert shown["data"][0]["payment"] is None
    assert shown["has_more"] is True


@pytest.mark.parametrize("letter", ['"', "\\", "\u0001", "é", "退", "😀"])
def test_a_page_that_lambda_would_not_pass_on_ends_earlier_and_says_that_more_follow(
    letter: str,
) -> None:
    # Given a hundred refunds, all as large as they can be
    refunds = [a_large_refund(f"rfd_{number}", letter) for number in range(LIMIT_MAX)]
    # When they are shown
    shown = refund_list(page_of(*refunds))
    # Then as many as fit are
    ids = [refund["id"] for refund in shown["data"]]
    assert ids == [f"rfd_{number}" for number in range(len(ids))]
    assert 1 < len(ids) < LIMIT_MAX
    assert shown["has_more"] is True
    # And that is what fits
    assert len(json.dumps({"body": json.dumps(shown)})) < ANSWER_BYTES_MAX


def test_one_refund_is_always_shown() -> None:
    refund = a_refund()
    huge = replace(refund, request=a_request(metadata={"x": "x" * (LIST_BYTES_MAX + 1)}))
    assert [one["id"] for one in refund_list(page_of(huge, refund))["data"]] == [huge.id]
    assert refund_list(page_of(huge, refund))["has_more"] is True
    assert refund_list(page_of(huge))["has_more"] is False


def test_a_payment_is_shown_with_its_newest_refunds() -> None:
    world = World()
    world.pay()
    refund = world.refund("k", amount=2500).refund
    shown = payment_object(world.read_payment("pr_1", world.deadline()))
    assert shown == {
        "object": "payment",
        "payment_record": "pr_1",
        "processor": "hitpay",
        "processor_payment_id": "charge-1",
        "currency": "sgd",
        "amount": 9999,
        "refunded_amount": 2500,
        "refundable_amount": 7499,
        "status": "partially_refunded",
        "refunds": {
            "object": "list",
            "url": "/v1/refunds?payment_record=pr_1",
            "data": [refund_object(refund, world.payment(), with_key=True)],
            "has_more": False,
        },
    }
