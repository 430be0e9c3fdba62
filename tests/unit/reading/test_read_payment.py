"""A payment is read from the ledger if it knows it, else looked at without writing anything."""

from dataclasses import replace

import pytest

from refund_bridge.domain.errors import (
    PaymentLinkConflictError,
    PaymentNotFoundError,
    PaymentNotLinkedError,
    PaymentNotRefundableError,
    ProcessorUnavailableError,
    StripeUnavailableError,
)
from refund_bridge.ports.ledger import LedgerUnavailableError
from refund_bridge.reading.listing import LIMIT_MAX
from refund_bridge.reading.read_payment import PaymentRead
from refund_bridge.refunding.locate_payment import VerifyCharge
from tests.contract.ledger.examples import a_refund
from tests.fakes.stripe_records import FakeRecord
from tests.fakes.world import World


def read(world: World, record: str = "pr_1") -> PaymentRead:
    return world.read_payment(record, world.deadline())


def as_stored(world: World) -> tuple[object, ...]:
    ledger = world.ledger
    return (
        dict(ledger.refunds),
        dict(ledger.payments),
        dict(ledger.records),
        dict(ledger.processor_refunds),
    )


class TestKnown:
    """What the ledger knows is answered by the ledger."""

    def test_a_payment_comes_with_its_refunds(self, world: World) -> None:
        first = world.refund("k", amount=2500).refund
        world.clock.advance(1)
        second = world.refund("l", amount=500).refund
        found = read(world)
        assert found.payment == world.payment()
        assert [refund.id for refund in found.newest.refunds] == [second.id, first.id]
        assert found.newest.has_more is False

    def test_neither_stripe_nor_the_processor_is_asked(self, world: World) -> None:
        world.refund("k", amount=2500)
        world.processor.is_down = world.stripe.is_down = True
        assert read(world).payment.refundable == 7499

    def test_by_its_payment_intent_it_is_the_same_payment(self, world: World) -> None:
        world.stripe.add_reference("pi_1", {"stripe_payment_record_id": "pr_1"})
        first = read(world, "pi_1")
        assert (first.payment.payment_record, list(first.newest.refunds)) == ("pr_1", [])
        made = world.refund("k", amount=2500).refund
        found = read(world, "pi_1")
        assert (found.payment.refundable, [one.id for one in found.newest.refunds]) == (
            7499,
            [made.id],
        )

    def test_of_many_refunds_the_newest_are_shown(self, world: World) -> None:
        world.refund("k", amount=2500)
        for number in range(LIMIT_MAX):
            refund = a_refund(
                id=f"rfd_{number}",
                processor_payment_id="charge-1",
                created_at_ms=world.clock.now_ms() + 1,
            )
            world.ledger.refunds[refund.id] = refund
        found = read(world).newest
        assert (len(found.refunds), found.has_more) == (LIMIT_MAX, True)
        assert all(refund.id.startswith("rfd_") for refund in found.refunds)
        assert world.stored("k") not in found.refunds

    def test_a_claim_without_its_payment_is_no_answer(self, world: World) -> None:
        world.refund("k")
        world.ledger.payments.clear()
        with pytest.raises(LedgerUnavailableError):
            read(world)


class TestFirstSight:
    """What the ledger has not met is looked at, and left alone."""

    def test_a_payment_that_nobody_refunded(self, world: World) -> None:
        before = as_stored(world)
        found = read(world)
        payment = found.payment
        assert (payment.captured, payment.refunded, payment.refundable) == (9999, 0, 9999)
        assert (payment.payment_record, payment.key.charge_id) == ("pr_1", "charge-1")
        assert (payment.status, list(found.newest.refunds)) == ("succeeded", [])
        assert as_stored(world) == before

    @pytest.mark.parametrize("verify_charge", VerifyCharge)
    def test_what_others_refunded_counts_but_has_no_ids_yet(
        self, verify_charge: VerifyCharge
    ) -> None:
        world = World(verify_charge=verify_charge)
        world.pay()
        world.processor.refund_in_dashboard("charge-1", 2500)
        before = as_stored(world)
        found = read(world)
        assert (found.payment.refunded, found.payment.refundable) == (2500, 7499)
        assert found.payment.status == "partially_refunded"
        assert list(found.newest.refunds) == []
        assert as_stored(world) == before

    def test_what_it_shows_is_what_the_first_refund_meets(self, world: World) -> None:
        world.processor.refund_in_dashboard("charge-1", 2500)
        seen = read(world).payment
        world.refund("k", amount=499)
        assert read(world).payment.refundable == seen.refundable - 499

    def test_a_record_that_is_not_there(self, world: World) -> None:
        with pytest.raises(PaymentNotFoundError):
            read(world, "pr_never")

    def test_a_record_that_is_not_linked(self, world: World) -> None:
        world.stripe.add_record(
            FakeRecord(id="pr_2", currency="sgd", requested=100, guaranteed=100, metadata={})
        )
        with pytest.raises(PaymentNotLinkedError):
            read(world, "pr_2")

    def test_a_record_on_which_nothing_was_captured(self, world: World) -> None:
        world.stripe.add_record(
            FakeRecord(
                id="pr_2",
                currency="sgd",
                requested=9999,
                guaranteed=0,
                metadata={"hitpay_payment_id": "charge-1"},
            )
        )
        with pytest.raises(PaymentNotRefundableError):
            read(world, "pr_2")

    def test_a_second_record_for_a_charge_that_is_known(self, world: World) -> None:
        world.refund("k", amount=2500)
        world.stripe.add_record(
            FakeRecord(
                id="pr_2",
                currency="sgd",
                requested=9999,
                guaranteed=9999,
                metadata={"hitpay_payment_id": "charge-1"},
            )
        )
        with pytest.raises(PaymentLinkConflictError):
            read(world, "pr_2")

    def test_the_record_of_a_charge_that_was_known_without_one(self, world: World) -> None:
        # Given a charge that the ledger met without knowing what books it
        refund = world.refund("k", amount=2500).refund
        payment = world.payment()
        world.ledger.records.clear()
        world.ledger.payments[payment.key] = replace(payment, payment_record=None)
        # When it is read by its record, then it is shown as linked, with its refunds
        found = read(world)
        assert (found.payment.payment_record, found.payment.refundable) == ("pr_1", 7499)
        assert list(found.newest.refunds) == [refund]
        assert world.ledger.records == {}

    def test_providers_that_give_no_answer(self, world: World) -> None:
        world.processor.is_down = True
        with pytest.raises(ProcessorUnavailableError):
            read(world)
        world.processor.is_down, world.stripe.is_down = False, True
        with pytest.raises(StripeUnavailableError):
            read(world)
