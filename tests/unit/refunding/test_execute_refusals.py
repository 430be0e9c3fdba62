"""What is refused before the reservation leaves no trace."""

import pytest

from refund_bridge.domain.errors import (
    CurrencyMismatchError,
    PaymentLinkConflictError,
    PaymentNotFoundError,
    PaymentNotLinkedError,
    PaymentNotRefundableError,
    ProcessorUnavailableError,
    RefundAmountExceededError,
    StripeUnavailableError,
)
from refund_bridge.domain.money import Money
from refund_bridge.domain.refund_request import ReferenceType
from refund_bridge.domain.state_machine import State
from refund_bridge.refunding.locate_payment import VerifyCharge
from tests.fakes.stripe_records import FakeRecord
from tests.fakes.world import World


class TestBeforeAnythingIsWritten:
    """What is refused before the reservation leaves no trace."""

    @pytest.fixture(autouse=True)
    def no_trace(self, world: World) -> object:
        yield
        assert world.ledger.payment_of_record("pr_1") is None
        assert world.processor.instructions == []

    def test_more_than_was_paid(self, world: World) -> None:
        with pytest.raises(RefundAmountExceededError) as refused:
            world.refund("k", amount=10_000)
        assert refused.value.details == {
            "original_amount": 9999,
            "already_refunded": 0,
            "remaining_refundable": 9999,
            "requested_refund": 10_000,
        }

    def test_another_currency(self, world: World) -> None:
        with pytest.raises(CurrencyMismatchError):
            world.refund("k", currency="usd")

    def test_a_charge_in_another_currency(self, world: World) -> None:
        world.processor.add_charge("charge-1", Money(9999, "usd"))
        with pytest.raises(CurrencyMismatchError):
            world.refund("k")

    def test_a_charge_of_another_amount(self, world: World) -> None:
        world.processor.add_charge("charge-1", Money(9998, "sgd"))
        with pytest.raises(PaymentLinkConflictError):
            world.refund("k")

    @pytest.mark.parametrize("status", ["pending", "failed", "void"])
    def test_a_charge_that_never_succeeded(self, world: World, status: str) -> None:
        world.processor.add_charge("charge-1", Money(9999, "sgd"), status=status)
        with pytest.raises(PaymentNotRefundableError):
            world.refund("k")

    def test_a_charge_that_the_processor_does_not_know(self, world: World) -> None:
        world.processor.books.charges.clear()
        with pytest.raises(PaymentNotFoundError):
            world.refund("k")

    def test_a_record_without_a_link(self, world: World) -> None:
        world.stripe.add_record(FakeRecord("pr_1", "sgd", 9999, 9999))
        with pytest.raises(PaymentNotLinkedError) as refused:
            world.refund("k")
        details = refused.value.details
        assert (details["object"], details["missing"]) == ("pr_1", "processor payment id")

    def test_a_record_that_was_never_captured(self, world: World) -> None:
        world.stripe.books.records["pr_1"].guaranteed = 0
        with pytest.raises(PaymentNotRefundableError):
            world.refund("k")

    def test_an_intent_that_names_no_record(self, world: World) -> None:
        world.stripe.add_reference("pi_1", {})
        with pytest.raises(PaymentNotLinkedError) as refused:
            world.refund("k", record="pi_1", reference_type=ReferenceType.PAYMENT_INTENT)
        assert refused.value.details == {
            "object": "pi_1",
            "missing": "Payment Record id",
            "expected_in": ["metadata.stripe_payment_record_id"],
        }

    @pytest.mark.parametrize(
        "written", ["charge/1", "../charge-1", "charge 1", "charge-1?x", "a" * 256]
    )
    def test_metadata_that_hold_no_charges_id(self, world: World, written: str) -> None:
        world.stripe.books.records["pr_1"].metadata = {"hitpay_payment_id": written}
        with pytest.raises(PaymentNotLinkedError) as refused:
            world.refund("k")
        (found,) = refused.value.details["found"]
        assert (found["field"], found["value"]) == ("metadata.hitpay_payment_id", written)
        assert world.processor.instructions == []

    def test_an_invoice_that_names_another_charge_than_its_record(self, world: World) -> None:
        world.processor.add_charge("charge-2", Money(9999, "sgd"))
        world.stripe.add_reference(
            "in_1", {"stripe_payment_record_id": "pr_1", "hitpay_payment_id": "charge-2"}
        )
        with pytest.raises(PaymentLinkConflictError):
            world.refund("k", record="in_1", reference_type=ReferenceType.INVOICE)

    def test_stripe_down(self, world: World) -> None:
        world.stripe.is_down = True
        with pytest.raises(StripeUnavailableError) as told:
            world.refund("k")
        assert told.value.retry_after_s

    def test_the_processor_down(self, world: World) -> None:
        world.processor.is_down = True
        with pytest.raises(ProcessorUnavailableError) as told:
            world.refund("k")
        assert told.value.retry_after_s


class TestLinks:
    """A record and a charge claim each other for ever."""

    def test_a_record_cannot_move_to_another_charge(self, world: World) -> None:
        world.refund("k", amount=1)
        world.processor.add_charge("charge-2", Money(9999, "sgd"))
        world.stripe.books.records["pr_1"].metadata = {"hitpay_payment_id": "charge-2"}
        with pytest.raises(PaymentLinkConflictError):
            world.refund("other", amount=1)
        assert len(world.processor.instructions) == 1

    @pytest.mark.parametrize("verify", list(VerifyCharge))
    def test_the_charge_is_read_as_often_as_the_stage_wants(self, verify: VerifyCharge) -> None:
        world = World(verify_charge=verify)
        world.pay()
        reads = []
        charge = world.processor.charge

        def counted(charge_id: str, deadline: object) -> object:
            reads.append(charge_id)
            return charge(charge_id, deadline)  # type: ignore[arg-type]

        world.processor.charge = counted  # type: ignore[method-assign, assignment]
        for key in ("one", "two"):
            assert world.refund(key, amount=1).refund.state is State.SUCCEEDED
        expected = {VerifyCharge.ALWAYS: 2, VerifyCharge.FIRST: 1, VerifyCharge.NEVER: 0}
        assert len(reads) == expected[verify]
