"""Stripe's own links: from a PaymentIntent or an invoice without our metadata to the payment."""

from collections.abc import Mapping
from typing import Any

import pytest

from refund_bridge.domain.errors import (
    InvalidRequestError,
    PaymentLinkConflictError,
    PaymentNotLinkedError,
    RefundBridgeError,
)
from refund_bridge.domain.payment_record import (
    InvoicePayment,
    InvoicePaymentKind,
    PaymentRecord,
    StripeReference,
)
from refund_bridge.domain.refund_request import ReferenceType
from refund_bridge.domain.state_machine import State
from tests.fakes.stripe_records import FakeRecord
from tests.fakes.world import World

BY_INTENT: dict[str, Any] = {"record": "pi_1", "reference_type": ReferenceType.PAYMENT_INTENT}
BY_INVOICE: dict[str, Any] = {"record": "in_1", "reference_type": ReferenceType.INVOICE}
TO_PR_2 = {"stripe_payment_record_id": "pr_2"}


@pytest.fixture
def world() -> World:
    """Two payments at the processor, ``pr_1`` and ``pr_2``, each reported by the merchant."""
    made = World()
    for name in ("1", "2"):
        made.pay(name)
        made.stripe.books.records[f"pr_{name}"].reported_by = "self"
    return made


def stripes_own(world: World, name: str = "pr_1") -> None:
    """Let the record be one that Stripe made for a payment of its own."""
    world.stripe.add_record(FakeRecord(name, "sgd", 9999, 9999, reported_by="stripe"))


def intent(
    world: World,
    record: str | None,
    metadata: Mapping[str, str] | None = None,
    *,
    name: str = "pi_1",
    expanded: bool = False,
    captured: str | None = None,
) -> None:
    """A PaymentIntent that names ``record`` by itself."""
    shown: PaymentRecord | str | None = record
    if expanded and record is not None:
        shown = world.stripe.payment_record(record, world.deadline())
    world.stripe.references[name] = StripeReference(
        id=name,
        livemode=False,
        metadata=metadata or {},
        payment_record=shown,
        captured_charge=captured,
    )


def invoice(
    world: World,
    *payments: InvoicePayment,
    metadata: Mapping[str, str] | None = None,
    more: bool = False,
) -> None:
    """An invoice with those paid payments."""
    world.stripe.references["in_1"] = StripeReference(
        id="in_1",
        livemode=False,
        metadata=metadata or {},
        payments=payments,
        has_more_payments=more,
    )


def by_record(name: str = "pr_1", amount: int | None = 9999) -> InvoicePayment:
    return InvoicePayment(InvoicePaymentKind.PAYMENT_RECORD, name, amount)


def by_intent(name: str = "pi_1", amount: int | None = 9999) -> InvoicePayment:
    return InvoicePayment(InvoicePaymentKind.PAYMENT_INTENT, name, amount)


def refunded(world: World, **asked: Any) -> str | None:
    """The record of the payment that a refund leads to."""
    refund = world.refund("k", **asked).refund
    assert refund.state is State.SUCCEEDED
    return refund.payment_record


def refused(world: World, **asked: Any) -> RefundBridgeError:
    """The error, with nothing sent."""
    with pytest.raises(RefundBridgeError) as told:
        world.refund("k", **asked)
    assert world.processor.instructions == []
    return told.value


class TestByPaymentIntent:
    """``PaymentIntent.payment_record``, and our metadata beside it."""

    @pytest.mark.parametrize("expanded", [True, False])
    def test_its_own_record_is_followed(self, world: World, expanded: bool) -> None:
        intent(world, "pr_1", expanded=expanded)
        assert refunded(world, **BY_INTENT) == "pr_1"

    @pytest.mark.parametrize("expanded", [True, False])
    def test_metadata_that_name_the_same_one_change_nothing(
        self, world: World, expanded: bool
    ) -> None:
        intent(world, "pr_2", TO_PR_2, expanded=expanded)
        assert refunded(world, **BY_INTENT) == "pr_2"

    def test_metadata_that_name_another_one_are_a_conflict(self, world: World) -> None:
        intent(world, "pr_1", TO_PR_2)
        error = refused(world, **BY_INTENT)
        assert isinstance(error, PaymentLinkConflictError)
        assert error.details == {"object": "pi_1", "payment_records": ["pr_1", "pr_2"]}

    def test_a_record_that_stripe_made_itself_contradicts_nothing(self, world: World) -> None:
        stripes_own(world)
        intent(world, "pr_1", TO_PR_2)
        assert refunded(world, **BY_INTENT) == "pr_2"

    def test_a_payment_that_stripe_took_is_not_linked(self, world: World) -> None:
        stripes_own(world)
        intent(world, "pr_1", expanded=True, captured="ch_1")
        error = refused(world, **BY_INTENT)
        assert isinstance(error, PaymentNotLinkedError)
        assert error.details["missing"] == "Payment Record id"
        assert world.stripe.asked == []

    @pytest.mark.parametrize("record", ["pr_1", None])
    def test_a_record_beside_what_stripe_captured_is_a_conflict(
        self, world: World, record: str | None
    ) -> None:
        intent(world, record, TO_PR_2 if record is None else None, captured="ch_1")
        error = refused(world, **BY_INTENT)
        assert isinstance(error, PaymentLinkConflictError)
        assert error.details["charge"] == "ch_1"

    def test_metadata_that_lead_to_stripes_own_record_lead_nowhere(self, world: World) -> None:
        stripes_own(world, "pr_2")
        intent(world, None, TO_PR_2)
        assert isinstance(refused(world, **BY_INTENT), PaymentNotLinkedError)

    def test_an_unknown_reporter_is_no_guess(self, world: World) -> None:
        world.stripe.books.records["pr_1"].reported_by = "somebody"
        intent(world, "pr_1")
        assert isinstance(refused(world, **BY_INTENT), PaymentLinkConflictError)

    @pytest.mark.parametrize("names", ["metadata", "reference", "ledger"])
    def test_without_a_reporter_the_record_is_followed_if_it_names_a_payment(
        self, world: World, names: str
    ) -> None:
        record = world.stripe.books.records["pr_1"]
        record.reported_by = None
        if names == "ledger":
            world.refund("before", amount=1)
        if names != "metadata":
            record.metadata = {}
            record.payment_reference = "charge-1" if names == "reference" else None
        intent(world, "pr_1")
        assert refunded(world, **BY_INTENT) == "pr_1"

    def test_and_is_no_link_if_it_names_none(self, world: World) -> None:
        world.stripe.add_record(FakeRecord("pr_1", "sgd", 9999, 9999))
        intent(world, "pr_1")
        assert isinstance(refused(world, **BY_INTENT), PaymentNotLinkedError)

    def test_no_record_is_read_that_the_intent_has_shown(self, world: World) -> None:
        # Given an intent that shows its record, and a Stripe that shows nothing besides
        intent(world, "pr_1", expanded=True)
        del world.stripe.books.records["pr_1"]
        assert refunded(world, **BY_INTENT) == "pr_1"


class TestByInvoice:
    """The invoice's paid payments."""

    def test_its_payment_record_is_followed(self, world: World) -> None:
        invoice(world, by_record())
        assert refunded(world, **BY_INVOICE) == "pr_1"

    @pytest.mark.parametrize("expanded", [True, False])
    def test_its_payment_intent_is_followed(self, world: World, expanded: bool) -> None:
        intent(world, "pr_1", expanded=expanded)
        invoice(world, by_intent())
        assert refunded(world, **BY_INVOICE) == "pr_1"

    def test_an_intent_that_names_the_record_in_metadata_is_followed(self, world: World) -> None:
        intent(world, None, TO_PR_2)
        invoice(world, by_intent())
        assert refunded(world, **BY_INVOICE) == "pr_2"

    def test_without_a_paid_payment_the_metadata_are_followed(self, world: World) -> None:
        invoice(world, metadata=TO_PR_2 | {"hitpay_payment_id": "charge-2"})
        assert refunded(world, **BY_INVOICE) == "pr_2"

    def test_a_paid_payment_that_the_metadata_contradict_is_a_conflict(self, world: World) -> None:
        invoice(world, by_record(), metadata=TO_PR_2)
        assert isinstance(refused(world, **BY_INVOICE), PaymentLinkConflictError)

    @pytest.mark.parametrize("more", [True, False])
    def test_of_several_payments_the_caller_has_to_say_which(
        self, world: World, more: bool
    ) -> None:
        paid = [by_record(), by_record("pr_2")][: 1 if more else 2]
        invoice(world, *paid, more=more)
        error = refused(world, **BY_INVOICE)
        assert isinstance(error, PaymentLinkConflictError)
        assert "payment_record" in error.message
        assert error.details["payments"][0] == "payment_record:pr_1"

    def test_a_charge_of_stripes_is_no_processors_payment(self, world: World) -> None:
        invoice(world, InvoicePayment(InvoicePaymentKind.CHARGE, "ch_1", 9999))
        assert isinstance(refused(world, **BY_INVOICE), PaymentNotLinkedError)

    @pytest.mark.parametrize("paid", [by_record(amount=5000), by_intent(amount=5000)])
    def test_all_of_a_payment_that_paid_other_invoices_too_is_not_taken_for_granted(
        self, world: World, paid: InvoicePayment
    ) -> None:
        # Given an invoice that took a part of a payment
        intent(world, "pr_1")
        invoice(world, paid)

        # When no amount is given, then it is asked for
        error = refused(world, **BY_INVOICE)
        assert isinstance(error, InvalidRequestError)
        assert error.details["fields"][0]["path"] == "amount"

        # And with one it is refunded
        assert world.refund("k2", amount=5000, **BY_INVOICE).refund.amount == 5000


def test_a_record_of_stripes_own_that_the_caller_names_is_refused(world: World) -> None:
    stripes_own(world)
    error = refused(world, record="pr_1")
    assert isinstance(error, InvalidRequestError)
    assert "PaymentIntent" in error.message
    assert error.details["fields"][0]["path"] == "payment_record"
