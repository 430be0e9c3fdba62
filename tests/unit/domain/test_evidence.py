"""Which processor refund on a charge is ours: by elimination, and never by a guess."""

from dataclasses import replace
from typing import Any

import pytest

from refund_bridge.domain.charge import Charge, ChargeStatus, ProcessorRefund, ProcessorRefundStatus
from refund_bridge.domain.evidence import (
    Ambiguous,
    Found,
    NoneYet,
    Unreadable,
    judge,
    of_our_instruction,
    stands_for,
)
from refund_bridge.domain.money import Money
from refund_bridge.domain.refund import Refund
from refund_bridge.domain.refund_request import ReferenceType
from tests.contract.ledger.examples import a_refund, a_request

# The last millisecond of a second, as a provider that counts seconds never sees it.
STARTED = 1_709_251_199_999
WHOLE_SECOND = 1_709_251_199_000
FIVE_MINUTES = 300_000
HOUR = 3_600_000


def sent(**facts: Any) -> Refund:
    """A refund of SGD 25.00 that was sent after the charge had been read: nothing was on it."""
    refund = a_refund(amount=2500, started_at_ms=STARTED, created_at_ms=STARTED - HOUR)
    return replace(refund, **{"snapshot": (), **facts})


def processor_refund(name: str = "m1", **facts: Any) -> ProcessorRefund:
    plain = ProcessorRefund(
        id=name, payment_id="c", money=Money(2500, "sgd"), status=ProcessorRefundStatus.SUCCEEDED
    )
    return replace(plain, **facts)


def showing(*processor_refunds: ProcessorRefund) -> Charge:
    return Charge(
        id="c",
        status=ChargeStatus.REFUNDABLE,
        processor_status="succeeded",
        money=Money(9999, "sgd"),
        refunded=0,
        processor_refunds=processor_refunds,
    )


def test_a_charge_that_lists_nothing_readable_says_nothing() -> None:
    assert judge(sent(), replace(showing(), processor_refunds=None), {}) == Unreadable()


@pytest.mark.parametrize("snapshot", [(), None])
def test_a_charge_without_refunds_shows_none_yet(snapshot: tuple[str, ...] | None) -> None:
    assert judge(sent(snapshot=snapshot), showing(), {}) == NoneYet()


def test_the_one_new_processor_refund_of_our_amount_is_ours() -> None:
    one = processor_refund()
    assert judge(sent(), showing(one), {}) == Found(one)


@pytest.mark.parametrize(
    "other",
    [processor_refund(money=Money(2499, "sgd")), processor_refund(money=Money(2500, "myr"))],
    ids=["another amount", "another currency"],
)
def test_another_sum_is_not_ours(other: ProcessorRefund) -> None:
    assert judge(sent(), showing(other), {}) == NoneYet()


def test_what_was_there_before_we_sent_is_not_ours() -> None:
    old, new = processor_refund("old"), processor_refund("new")
    assert judge(sent(snapshot=("old",)), showing(old, new), {}) == Found(new)


def test_what_belongs_to_another_refund_is_not_ours_and_what_is_ours_stays_ours() -> None:
    refund, one = sent(), processor_refund()
    assert judge(refund, showing(one), {"m1": "rfd_other"}) == NoneYet()
    assert judge(refund, showing(one), {"m1": refund.id}) == Found(one)


def test_more_than_one_is_for_a_person_who_is_shown_at_most_ten_of_them() -> None:
    # Given twelve processor refunds that can all be ours
    names = [f"m{n}" for n in range(12)]
    # When they are judged
    verdict = judge(sent(), showing(*map(processor_refund, names)), {})
    # Then none is chosen
    assert verdict == Ambiguous("12 processor refunds of this amount", tuple(names[:10]))


class TestInstructionShown:
    """A processor that shows which instruction made a processor refund leaves nothing to guess."""

    @pytest.mark.parametrize("snapshot", [("m0",), None])
    def test_ours_is_ours_whatever_else_is_alike(self, snapshot: tuple[str, ...] | None) -> None:
        refund = sent(snapshot=snapshot)
        ours = processor_refund("m1", instruction_id=refund.id)
        shown = showing(
            processor_refund("m2"), ours, processor_refund("m3", instruction_id="rfd_other")
        )
        assert judge(refund, shown, {}) == Found(ours)

    def test_another_instructions_is_never_ours(self) -> None:
        refund = sent(snapshot=())
        assert judge(refund, showing(processor_refund(instruction_id="rfd_other")), {}) == NoneYet()

    def test_two_of_our_instruction_are_for_a_person(self) -> None:
        refund = sent(snapshot=())
        twice = showing(
            *(processor_refund(name, instruction_id=refund.id) for name in ("m1", "m2"))
        )
        assert isinstance(judge(refund, twice, {}), Ambiguous)

    def test_another_amount_under_our_instruction_is_for_a_person(self) -> None:
        refund = sent(snapshot=())
        other = processor_refund(
            instruction_id=refund.id, money=Money(refund.amount + 1, refund.currency)
        )
        verdict = judge(refund, showing(other, processor_refund("m2")), {})
        assert verdict == Ambiguous("another amount under our instruction", ("m1",))


class TestOurInstruction:
    """What a processor shows as what our instruction came to."""

    def test_it_is_certainly_ours(self) -> None:
        refund = sent(processor_payment_id="c")
        verdict = of_our_instruction(refund, processor_refund("m1"))
        assert verdict == Found(processor_refund("m1", instruction_id=refund.id))

    def test_unless_it_is_something_else(self) -> None:
        other = processor_refund("m1", money=Money(1, "sgd"))
        verdict = of_our_instruction(sent(processor_payment_id="c"), other)
        assert isinstance(verdict, Ambiguous)
        assert verdict.processor_refund_ids == ("m1",)

    @pytest.mark.parametrize(("method", "is_ours"), [("card-1", True), (None, True), ("x", False)])
    def test_money_to_another_card_is_something_else(
        self, method: str | None, *, is_ours: bool
    ) -> None:
        asked = a_request(reference_type=ReferenceType.PAYMENT_METHOD, reference_id="card-1")
        refund = sent(request=asked, processor_payment_id="unlinked/rfd_1")
        shown = processor_refund("m1", payment_id="", payment_method=method)
        assert isinstance(of_our_instruction(refund, shown), Found) is is_ours

    def test_a_payments_processor_refund_may_show_any_method(self) -> None:
        shown = processor_refund("m1", payment_method="card-9")
        assert isinstance(of_our_instruction(sent(processor_payment_id="c"), shown), Found)


class TestWithoutASnapshot:
    """The charge was not read before sending, so only a processor refund's time can tell."""

    @pytest.mark.parametrize("time", ["created_at_ms", "refunded_at_ms"])
    def test_a_processor_refund_of_the_second_in_which_we_started_is_ours(self, time: str) -> None:
        one = replace(processor_refund(), **{time: WHOLE_SECOND})  # type: ignore[arg-type]
        assert judge(sent(snapshot=None), showing(one), {}) == Found(one)

    def test_when_it_was_made_counts_and_not_when_it_ended(self) -> None:
        # Given a processor refund that was made long before we sent, and ended after it
        one = processor_refund(created_at_ms=STARTED - HOUR, refunded_at_ms=STARTED + HOUR)
        # Then it is not ours
        assert judge(sent(snapshot=None), showing(one), {}) == NoneYet()

    @pytest.mark.parametrize("before_ms", [1, FIVE_MINUTES])
    def test_one_from_shortly_before_may_be_ours_by_another_clock(self, before_ms: int) -> None:
        one = processor_refund(created_at_ms=WHOLE_SECOND - before_ms)
        verdict = judge(sent(snapshot=None), showing(one), {})
        assert verdict == Ambiguous("a processor refund shortly before the attempt", ("m1",))

    def test_one_from_longer_before_is_not_ours(self) -> None:
        # Given one that is older than clocks can differ, and one that is not
        old = processor_refund("old", created_at_ms=WHOLE_SECOND - FIVE_MINUTES - 1)
        new = processor_refund("new", created_at_ms=STARTED + 1)
        # Then the younger is ours
        assert judge(sent(snapshot=None), showing(old, new), {}) == Found(new)

    def test_one_without_a_time_may_be_ours(self) -> None:
        verdict = judge(sent(snapshot=None), showing(processor_refund()), {})
        assert verdict == Ambiguous("a processor refund without a time", ("m1",))

    def test_two_since_we_started_are_for_a_person(self) -> None:
        both = (
            processor_refund("m1", created_at_ms=STARTED),
            processor_refund("m2", created_at_ms=STARTED),
        )
        verdict = judge(sent(snapshot=None), showing(*both), {})
        assert verdict == Ambiguous("2 processor refunds of this amount", ("m1", "m2"))

    def test_a_refund_without_a_start_counts_from_its_creation(self) -> None:
        one = processor_refund(created_at_ms=STARTED - HOUR)
        refund = sent(snapshot=None, started_at_ms=None)
        assert judge(refund, showing(one), {}) == Found(one)


class TestStandsFor:
    """Whether a look-up shows the processor refund that was asked about."""

    def bound(self) -> Refund:
        return replace(sent(), processor_refund_id="m1", processor_payment_id="C")

    def test_the_bound_processor_refund_does_however_its_charge_is_spelt(self) -> None:
        assert stands_for(processor_refund(), self.bound())

    @pytest.mark.parametrize(
        "other",
        [
            processor_refund("m2"),
            processor_refund(payment_id="d"),
            processor_refund(money=Money(2499, "sgd")),
            processor_refund(money=Money(2500, "myr")),
        ],
        ids=["another id", "another charge", "another amount", "another currency"],
    )
    def test_another_does_not(self, other: ProcessorRefund) -> None:
        assert not stands_for(other, self.bound())
