"""The promises of ``StripeReports``'s reads."""

import pytest

from refund_bridge.ports.processor import ProviderUnavailableError
from refund_bridge.ports.stripe import StripeObjectNotFoundError
from tests.contract.stripe.worlds import StripeWorld
from tests.fakes.stripe_records import FakeRecord


def test_a_record_shows_what_was_captured_and_where_it_leads(world: StripeWorld) -> None:
    metadata = {"hitpay_payment_id": "pay-1"}
    world.add_record(
        FakeRecord("pr_1", "sgd", 9999, 9000, metadata=metadata, payment_reference="pay-1")
    )
    record = world.stripe.payment_record("pr_1", world.deadline())
    assert (record.id, record.livemode, record.currency) == ("pr_1", False, "sgd")
    assert (record.amount_requested, record.captured, record.amount_refunded) == (9999, 9000, 0)
    assert (record.metadata, record.payment_reference) == (metadata, "pay-1")


def test_a_record_may_be_canceled_and_lead_nowhere(world: StripeWorld) -> None:
    world.add_record(FakeRecord("pr_1", "jpy", 1000, 0, canceled=1000))
    record = world.stripe.payment_record("pr_1", world.deadline())
    assert (record.captured, record.amount_canceled, record.currency) == (0, 1000, "jpy")
    assert (dict(record.metadata), record.payment_reference) == ({}, None)


def test_an_intent_and_an_invoice_lead_on_by_their_metadata(world: StripeWorld) -> None:
    world.add_intent("pi_1", {"stripe_payment_record_id": "pr_1"})
    world.add_invoice("in_1", {"hitpay_payment_id": "pay-1"})
    intent = world.stripe.payment_intent("pi_1", world.deadline())
    invoice = world.stripe.invoice("in_1", world.deadline())
    assert (intent.id, intent.livemode) == ("pi_1", False)
    assert intent.metadata == {"stripe_payment_record_id": "pr_1"}
    assert invoice.metadata == {"hitpay_payment_id": "pay-1"}


def test_what_does_not_exist_in_this_mode_is_not_found(world: StripeWorld) -> None:
    world.add_record(FakeRecord("pr_live", "sgd", 9999, 9999, livemode=True))
    with pytest.raises(StripeObjectNotFoundError, match="pr_live"):
        world.stripe.payment_record("pr_live", world.deadline())
    with pytest.raises(StripeObjectNotFoundError):
        world.stripe.payment_record("pr_9", world.deadline())
    with pytest.raises(StripeObjectNotFoundError):
        world.stripe.payment_intent("pi_9", world.deadline())
    with pytest.raises(StripeObjectNotFoundError):
        world.stripe.invoice("in_9", world.deadline())


def test_stripe_says_nothing_about_its_records_while_it_is_down(world: StripeWorld) -> None:
    world.add_record(FakeRecord("pr_1", "sgd", 9999, 9999))
    world.fail_reads()
    with pytest.raises(ProviderUnavailableError):
        world.stripe.payment_record("pr_1", world.deadline())
    with pytest.raises(ProviderUnavailableError):
        world.stripe.payment_intent("pi_1", world.deadline())
    with pytest.raises(ProviderUnavailableError):
        world.stripe.invoice("in_1", world.deadline())
