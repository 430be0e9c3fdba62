"""Defects planted in settling unknown outcomes, and in importing external refunds."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from refund_bridge.domain import evidence, outcome
from refund_bridge.domain.charge import Charge, ListedCharge
from refund_bridge.domain.evidence import Found, NoneYet, Verdict
from refund_bridge.domain.instruction import Outcome
from refund_bridge.domain.payment import PaymentKey
from refund_bridge.domain.payment_snapshot import PaymentSnapshot
from refund_bridge.domain.refund import Failure, Refund
from refund_bridge.domain.state_machine import Event, State
from refund_bridge.domain.transitions import transition
from refund_bridge.observing import observe_payment as observe
from refund_bridge.observing import sweep_payments as sweep
from refund_bridge.observing.observe_payment import ObservePayment
from refund_bridge.observing.sweep_payments import SweepPayments
from refund_bridge.ports.ledger import LedgerConflictError
from refund_bridge.ports.runtime import Deadline
from refund_bridge.refunding import look_up
from refund_bridge.refunding import record_outcome as record
from refund_bridge.refunding.follow_refund import FollowRefund
from refund_bridge.refunding.learn_from_charge import LearnFromCharge, Learnt
from refund_bridge.refunding.record_outcome import Stored
from refund_bridge.refunding.reserve import TakenByAnotherCallError
from refund_bridge.settling import find_out, settle
from refund_bridge.settling.settle import SettleRefund
from refund_bridge.settling.settling import Settled, Settling
from tests.simulation.planting import defect


@defect(caught_at=124)
def lease_ignored_by_settling() -> Iterator[None]:
    """Settling takes a refund that its own call is still sending."""

    def take_over(settling: Settling, stored: Stored, deadline: Deadline) -> Settled:
        why = settling.why("lease_over")
        lost = transition(stored.refund, Event.LOSE, why, lease_until_ms=None, looks=0)
        return find_out.find_out(settling, settling.recorder.write(stored, lost), deadline)

    with patch.object(settle, "take_over", take_over):
        yield


@defect(caught_at=2)
def match_ignores_claims() -> Iterator[None]:
    """A processor refund that another refund claims may be taken for this refund's."""

    def judge(refund: Refund, charge: Charge, claimed: Mapping[str, str]) -> Verdict:
        return evidence.judge(refund, charge, {})

    def claims(_: Refund) -> tuple[()]:
        return ()

    with patch.object(look_up, "judge", judge), patch.object(record, "claims_of", claims):
        yield


@defect(caught_at=124)
def match_ignores_snapshot() -> Iterator[None]:
    """A processor refund that was on the charge before we sent may be taken for ours."""

    def anything(refund: Refund, charge: Charge, claimed: Mapping[str, str]) -> Verdict:
        return evidence.judge(replace(refund, snapshot=()), charge, claimed)

    with patch.object(look_up, "judge", anything):
        yield


@defect(caught_at=7)
def match_ignores_the_amount() -> Iterator[None]:
    """Any new processor refund on the charge is taken for ours."""

    def judge(refund: Refund, charge: Charge, claimed: Mapping[str, str]) -> Verdict:
        for processor_refund in charge.processor_refunds or ():
            if claimed.get(processor_refund.id, refund.id) == refund.id:
                return Found(processor_refund)
        return NoneYet()

    with patch.object(look_up, "judge", judge):
        yield


@defect(caught_at=8)
def import_while_slot_is_taken() -> Iterator[None]:
    """A processor refund is imported though it may be that of our refund that is not bound yet."""
    plan = LearnFromCharge._plan

    def reckless(self: LearnFromCharge, seen: PaymentSnapshot, held: Any, *rest: Any) -> Learnt:
        payment = held.payment
        if payment is None or payment.slot is None:
            return plan(self, seen, held, *rest)
        free = replace(held, payment=replace(payment, slot=None))
        learnt = plan(self, seen, free, *rest)
        return replace(learnt, stored=payment, current=replace(learnt.current, slot=payment.slot))

    with patch.object(LearnFromCharge, "_plan", reckless):
        yield


@defect(caught_at=8)
def failed_when_not_found() -> Iterator[None]:
    """A refund that is not found yet counts as failed."""

    def none_yet(settling: Settling, stored: Stored) -> Settled:
        failure = Failure(code="not_executed", message="not found")
        why = settling.why("not_found")
        after = transition(stored.refund, Event.FAIL, why, failure=failure, next_check_ms=None)
        return settling.move_on(stored, after)

    with patch.object(find_out, "_none_yet", none_yet):
        yield


@defect(caught_at=1)
def settle_without_taking() -> Iterator[None]:
    """Settling reads a due refund without taking it, so that two runs may work on it."""

    def settle_it(self: SettleRefund, refund_id: str, deadline: Deadline) -> Settled:
        try:
            return self._settle(self.recorder.read(refund_id), deadline)
        except (LedgerConflictError, TakenByAnotherCallError):
            return Settled.HELD

    with patch.object(SettleRefund, "__call__", settle_it):
        yield


@defect(caught_at=5)
def due_row_forgotten() -> Iterator[None]:
    """A refund that became unknown has no time of its next check."""
    after = outcome.after_outcome

    def forgetful(refund: Refund, answer: Outcome, *, at_ms: int, actor: str) -> Refund:
        done = after(refund, answer, at_ms=at_ms, actor=actor)
        return replace(done, next_check_ms=None) if done.state is State.UNKNOWN else done

    with patch.object(record, "after_outcome", forgetful):
        yield


@defect(caught_at=19)
def sweep_reads_no_charge() -> Iterator[None]:
    """Webhooks and the sweep do not read the charge, so refunds of the dashboard are never seen."""

    def idle(self: ObservePayment, key: Any, deadline: Deadline) -> None:
        self.ledger.payment(key)

    with patch.object(observe.ObservePayment, "__call__", idle):
        yield


@defect(caught_at=716)
def unreadable_page_stops_the_sweep() -> Iterator[None]:
    """The sweep tries an unreadable page for ever, and never reads the pages after it."""
    with patch.object(sweep, "PAGE_TRIES", 1_000_000):
        yield


@defect(caught_at=151)
def sweep_compares_sums_only() -> Iterator[None]:
    """The sweep checks a charge only if its refunded sum differs from the ledger's."""

    def sums(self: SweepPayments, processor: str, charges: Sequence[ListedCharge]) -> list[str]:
        known = self.payments([PaymentKey(processor, charge.id) for charge in charges])
        counted = {key.charge_id: payment.refunded for key, payment in known.items()}
        return [one.id for one in charges if one.refunded != counted.get(one.id, 0)]

    with patch.object(SweepPayments, "_differing", sums):
        yield


@defect(caught_at=41)
def mended_link_not_found() -> Iterator[None]:
    """An external refund without a record stays so, even when its payment gets a record."""

    def keep(*_: Any) -> bool:
        return False

    with patch.object(FollowRefund, "_give_record", keep):
        yield
