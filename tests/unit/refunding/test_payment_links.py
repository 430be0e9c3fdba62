"""Which payment has a Payment Record, and when another one may take it."""

from dataclasses import replace
from typing import Any

import pytest

from refund_bridge.domain.charge import Charge, ChargeStatus
from refund_bridge.domain.money import Money
from refund_bridge.domain.payment import Payment, PaymentKey
from refund_bridge.domain.payment_snapshot import PaymentSnapshot
from refund_bridge.ports.ledger import PaymentWrite, RecordClaim
from refund_bridge.refunding.payment_links import PaymentLinks, link_of, linked
from tests.fakes.ledger import MemoryLedger
from tests.fakes.world import FakeTelemetry

HERE, THERE = PaymentKey("hitpay", "charge-1"), PaymentKey("hitpay", "charge-wrong")
CHARGE = Charge(
    id="charge-1",
    status=ChargeStatus.REFUNDABLE,
    processor_status="succeeded",
    money=Money(5000, "sgd"),
    refunded=0,
    processor_refunds=(),
)
# A payment that is used in each way: one whose amount is held, one with a slot, one that waits.
# What is reserved, and may have moved money.
USED: dict[str, Any] = {"held": 1}


def stored(record: str | None, **facts: Any) -> Payment:
    plain = Payment(key=HERE, payment_record=record, currency="sgd", captured=4000)
    return replace(plain, **facts)


def seen(record: str | None, **facts: Any) -> PaymentSnapshot:
    """``pr_1`` and its charge, as Stripe and the processor show them now."""
    plain = PaymentSnapshot(
        key=HERE,
        payment_record=record,
        currency="sgd",
        captured=5000,
        in_book=None,
        charge=None,
    )
    return replace(plain, **facts)


class TestLinked:
    """What a payment takes of what was just seen."""

    @pytest.mark.parametrize("use", [{}, USED])
    def test_without_a_record_it_takes_nothing(self, use: dict[str, Any]) -> None:
        for record in (None, "pr_1"):
            before = stored(record, **use)
            assert linked(before, seen(None, charge=CHARGE)) == before

    @pytest.mark.parametrize("use", [{}, USED])
    def test_one_that_has_none_takes_record_and_amount(self, use: dict[str, Any]) -> None:
        before = stored(None, **use)
        after = replace(before, payment_record="pr_1", captured=5000)
        assert linked(before, seen("pr_1")) == after

    def test_one_under_which_no_money_moved_takes_them_too(self) -> None:
        before = stored("pr_wrong")
        after = replace(before, payment_record="pr_1", captured=5000)
        assert linked(before, seen("pr_1")) == after

    def test_one_under_which_money_may_have_moved_keeps_its_own(self) -> None:
        before = stored("pr_wrong", **USED)
        assert linked(before, seen("pr_1", charge=CHARGE)) == before

    def test_the_amount_of_a_used_one_changes_only_if_its_charge_was_read(self) -> None:
        before = stored("pr_1", **USED)
        assert linked(before, seen("pr_1")) == before
        assert linked(before, seen("pr_1", charge=CHARGE)) == replace(before, captured=5000)

    def test_that_of_an_unused_one_always_does(self) -> None:
        before = stored("pr_1")
        for charge in (None, CHARGE):
            assert linked(before, seen("pr_1", charge=charge)) == replace(before, captured=5000)


def test_a_record_is_claimed_by_the_write_that_gives_it_to_the_payment_and_by_no_other() -> None:
    claim = (RecordClaim("pr_1", HERE, None),)
    assert link_of(None, stored("pr_1"), seen("pr_1")) == claim
    assert link_of(stored(None), stored("pr_1"), seen("pr_1")) == claim
    assert link_of(stored("pr_wrong"), stored("pr_1"), seen("pr_1")) == claim
    taking = seen("pr_1", instead_of=THERE)
    assert link_of(None, stored("pr_1"), taking) == (RecordClaim("pr_1", HERE, THERE),)
    # The payment had it before, or has none
    assert link_of(stored("pr_1"), stored("pr_1"), seen("pr_1")) == ()
    assert link_of(stored(None), stored(None), seen(None)) == ()
    assert link_of(None, stored(None), seen(None)) == ()


class TestTaken:
    """The record is claimed by another payment."""

    @pytest.fixture
    def ledger(self) -> MemoryLedger:
        """``pr_1`` claimed by the wrong payment, of which no refund moved money."""
        made = MemoryLedger()
        made.records["pr_1"] = THERE
        made.payments[THERE] = stored("pr_1", key=THERE)
        return made

    @pytest.fixture
    def telemetry(self) -> FakeTelemetry:
        return FakeTelemetry()

    @pytest.fixture
    def links(self, ledger: MemoryLedger, telemetry: FakeTelemetry) -> PaymentLinks:
        return PaymentLinks(ledger=ledger, telemetry=telemetry)

    def test_it_is_taken_from_a_payment_of_which_no_money_moved(
        self, ledger: MemoryLedger, telemetry: FakeTelemetry, links: PaymentLinks
    ) -> None:
        # When the right payment asks for it
        mended = links.mended(seen("pr_1"))
        # Then it may take it, and somebody can read that in the log
        assert mended is not None
        assert mended == seen("pr_1", instead_of=THERE)
        assert telemetry.notes == [
            ("link_mended", {"payment_record": "pr_1", "charge": "charge-1"})
        ]
        # And the write that takes it takes it away from the other one
        wrong = ledger.payments[THERE]
        assert links.released(mended) == [PaymentWrite(wrong, replace(wrong, payment_record=None))]

    def test_a_payment_that_is_used_keeps_it(
        self,
        ledger: MemoryLedger,
        telemetry: FakeTelemetry,
        links: PaymentLinks,
    ) -> None:
        ledger.payments[THERE] = stored("pr_1", key=THERE, **USED)
        assert links.mended(seen("pr_1")) is None
        assert telemetry.notes == []

    @pytest.mark.parametrize("other", [None, stored("pr_2", key=THERE, held=1)])
    def test_a_claim_of_a_payment_that_has_another_record_or_is_gone_holds_nothing(
        self, ledger: MemoryLedger, links: PaymentLinks, other: Payment | None
    ) -> None:
        del ledger.payments[THERE]
        if other is not None:
            ledger.payments[THERE] = other
        mended = links.mended(seen("pr_1"))
        assert mended is not None
        assert mended == seen("pr_1", instead_of=THERE)
        # And nothing is taken away from it
        assert links.released(mended) == []

    def test_there_is_nothing_to_take_where_nobody_else_has_it_or_it_was_tried(
        self, ledger: MemoryLedger, telemetry: FakeTelemetry, links: PaymentLinks
    ) -> None:
        assert links.mended(seen(None)) is None
        assert links.mended(seen("pr_2")) is None
        assert links.mended(seen("pr_1", key=THERE)) is None
        # Taken before, and the claim refused once more: somebody else was faster
        assert links.mended(seen("pr_1", instead_of=THERE)) is None
        assert links.released(seen("pr_1")) == []
        assert telemetry.notes == []
