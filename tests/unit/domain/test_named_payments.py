"""Ids mixed up: what stands where a processor's payment id belongs, resolved or said by name."""

from typing import Any

import pytest

from refund_bridge.domain.errors import (
    PaymentLinkConflictError,
    PaymentNotFoundError,
    PaymentNotLinkedError,
)
from refund_bridge.domain.money import Money
from refund_bridge.domain.refund_request import ReferenceType
from refund_bridge.domain.state_machine import State
from refund_bridge.refunding.locate_payment import VerifyCharge
from tests.fakes.world import World

FIELD = "metadata.hitpay_payment_id"


@pytest.fixture
def world() -> World:
    made = World()
    made.pay()
    made.processor.add_payment_request("request-1", ["charge-1"])
    return made


def record_of(world: World, metadata: dict[str, str], reference: str | None = None) -> None:
    record = world.stripe.books.records["pr_1"]
    record.metadata, record.payment_reference = metadata, reference


@pytest.mark.parametrize(
    ("metadata", "reference"),
    [
        ({"hitpay_payment_id": "request-1"}, None),
        ({"hitpay_charge_id": "request-1"}, None),
        ({}, "request-1"),
        ({}, "charge-1"),
        ({"hitpay_payment_id": "nobodys", "hitpay_charge_id": "charge-1"}, None),
        ({"hitpay_payment_id": "nobodys"}, "charge-1"),
        ({"hitpay_payment_id": "pi_1", "hitpay_charge_id": "charge-1"}, None),
        ({"hitpay_payment_id": "pi_1"}, "request-1"),
    ],
)
def test_what_leads_to_one_payment_is_refunded_again_and_again(
    world: World, metadata: dict[str, str], reference: str | None
) -> None:
    # Given a record that names its payment in a roundabout way
    record_of(world, metadata, reference)

    # When it is refunded, and once more when the ledger knows the link
    for key in ("k1", "k2"):
        refund = world.refund(key, amount=100).refund
        assert (refund.state, refund.processor_payment_id) == (State.SUCCEEDED, "charge-1")


@pytest.mark.parametrize("verify", [VerifyCharge.FIRST, VerifyCharge.NEVER])
def test_a_known_link_is_no_conflict_where_charges_are_not_read_each_time(
    verify: VerifyCharge,
) -> None:
    world = World(verify_charge=verify)
    world.pay()
    world.processor.add_payment_request("request-1", ["charge-1"])
    record_of(world, {}, "request-1")
    for key in ("k1", "k2"):
        assert world.refund(key, amount=100).refund.processor_payment_id == "charge-1"


def test_an_invoice_may_name_what_the_customer_was_asked_to_pay(world: World) -> None:
    names = {"stripe_payment_record_id": "pr_1", "hitpay_payment_id": "request-1"}
    world.stripe.add_reference("in_1", names)
    by_invoice: dict[str, Any] = {"record": "in_1", "reference_type": ReferenceType.INVOICE}
    for key in ("k1", "k2"):
        refund = world.refund(key, amount=100, **by_invoice).refund
        assert refund.processor_payment_id == "charge-1"


def test_a_request_of_another_payment_is_still_a_conflict(world: World) -> None:
    # Given a payment that was refunded, and metadata that were changed to another's request
    world.refund("k1", amount=100)
    world.processor.add_charge("charge-2", Money(9999, "sgd"))
    world.processor.add_payment_request("request-2", ["charge-2"])
    record_of(world, {"hitpay_payment_id": "request-2"})
    with pytest.raises(PaymentLinkConflictError):
        world.refund("k2", amount=100)


@pytest.mark.parametrize(
    ("value", "what"),
    [
        (" 9ced76ac ", "an id with blanks around it"),
        ("9ced76ac\n", "an id with blanks around it"),
        ("https://dashboard.hit-pay.com/payments/9ced76ac", "an address, not an id"),
        ("pi_3Qx", "the id of a Stripe PaymentIntent"),
        ("pr_3Qx", "the id of a Stripe Payment Record"),
        ("in_3Qx", "the id of a Stripe Invoice"),
        ("9ced 76ac", "text that is no id"),
        ("x" * 256, "text that is no id"),
    ],
)
def test_what_cannot_be_a_payments_id_is_named(world: World, value: str, what: str) -> None:
    record_of(world, {"hitpay_payment_id": value})
    with pytest.raises(PaymentNotLinkedError) as refused:
        world.refund("k")
    told = {"field": FIELD, "value": value, "looks_like": what}
    assert refused.value.details["found"] == [told]
    assert f'{FIELD} holds "{value}": {what}' in refused.value.message
    assert world.processor.instructions == []


def test_a_reference_that_cannot_be_one_is_named_too(world: World) -> None:
    record_of(world, {}, "pi_3Qx")
    with pytest.raises(PaymentNotLinkedError) as refused:
        world.refund("k")
    (told,) = refused.value.details["found"]
    assert told["field"] == "processor_details.custom.payment_reference"


def test_ids_that_the_processor_does_not_know_are_named_with_their_fields(world: World) -> None:
    record_of(world, {"hitpay_payment_id": "nobodys"}, "nor-this")
    with pytest.raises(PaymentNotFoundError) as refused:
        world.refund("k")
    assert refused.value.details["found"] == [
        {"field": FIELD, "value": "nobodys"},
        {"field": "processor_details.custom.payment_reference", "value": "nor-this"},
    ]
    assert '"nobodys" (metadata.hitpay_payment_id)' in refused.value.message


@pytest.mark.parametrize("paid", [[], ["charge-1", "charge-2"]])
def test_a_request_without_exactly_one_payment_is_not_found(world: World, paid: list[str]) -> None:
    world.processor.add_charge("charge-2", Money(9999, "sgd"))
    world.processor.add_payment_request("request-2", paid)
    record_of(world, {"hitpay_payment_id": "request-2"})
    with pytest.raises(PaymentNotFoundError):
        world.refund("k")
