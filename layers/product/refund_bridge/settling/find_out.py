"""Finds out what became of a refund: by evidence, or by its idempotency key at the processor."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from refund_bridge.domain.charge import Charge, ProcessorRefundStatus
from refund_bridge.domain.errors import ProcessorUnavailableError
from refund_bridge.domain.evidence import (
    Ambiguous,
    Found,
    KeyNotShown,
    NoneYet,
    Unreadable,
    Verdict,
    of_our_instruction,
)
from refund_bridge.domain.instruction import Accepted
from refund_bridge.domain.listed_refunds import are_all_bound
from refund_bridge.domain.outcome import after_processor_refund
from refund_bridge.domain.payment_snapshot import PaymentSnapshot
from refund_bridge.domain.refund import FOUND, HANDED_OVER_AGAIN, Failure, Refund
from refund_bridge.domain.state_machine import Event, State
from refund_bridge.domain.transitions import noted, transition
from refund_bridge.ports.ledger import LedgerConflictError
from refund_bridge.ports.processor import (
    ChargeNotFoundError,
    Processor,
    ProviderUnavailableError,
    UnreadableAnswerError,
)
from refund_bridge.ports.runtime import Deadline
from refund_bridge.refunding.execute import SEND_MS_MAX, SEND_MS_MIN, asks_for_more
from refund_bridge.refunding.look_up import KnownRefunds, look_for
from refund_bridge.refunding.record_outcome import Stored
from refund_bridge.refunding.send import place
from refund_bridge.settling.settling import (
    ACTOR,
    HOLD_LOOK_UPS_MIN,
    AfterHold,
    Settled,
    Settling,
    no_look_up,
    words_of,
)

# A processor that keeps keys is checked at least so often before the same instruction is sent
# again, and it is sent again at most so often.
REPEAT_LOOKS_MIN: Final = 2
REPEATS_MAX: Final = 3
UNREADABLE: Final = "its answer cannot be read"


def take_over(settling: Settling, stored: Stored, deadline: Deadline) -> Settled:
    """Take over a refund whose sending call wrote no outcome; before its lease ends, only wait."""
    lease_until_ms = stored.refund.lease_until_ms or 0
    if settling.clock.now_ms() < lease_until_ms:
        later = replace(stored.refund, next_check_ms=lease_until_ms)
        settling.recorder.write(stored, later)
        return Settled.HELD
    why = settling.why("lease_over")
    lost = transition(stored.refund, Event.LOSE, why, lease_until_ms=None, looks=0)
    return find_out(settling, settling.recorder.write(stored, lost), deadline)


def find_out(settling: Settling, stored: Stored, deadline: Deadline) -> Settled:
    """Check the refund at the processor and write what follows; durable on return.

    Raises:
        LedgerConflictError, LedgerUnavailableError: the refund stays due.
    """
    refund = stored.refund
    if (why_not := settling.out_of_reach(refund)) is not None:
        return _not_shown(settling, stored, why_not)
    processor = settling.processors[refund.processor]
    learn = partial(_learn, settling, stored, deadline)
    known = KnownRefunds(
        claimed=settling.ledger.claimed, of_payment=partial(_of_payment, settling, stored)
    )
    try:
        verdict = look_for(processor, refund, known, deadline, learn=learn)
        is_open = isinstance(verdict, NoneYet | KeyNotShown)
        by_key = processor.capabilities.keeps_keys
        again = by_key and is_open and _may_repeat(settling, processor, stored, deadline)
    except ChargeNotFoundError:
        return _not_shown(settling, stored, "the processor does not show the payment")
    except UnreadableAnswerError as error:
        heard, said = settling.heard(stored, error), words_of(error)
        return _not_shown(settling, heard, UNREADABLE, said=f": {said}", before=stored)
    except ProviderUnavailableError as error:
        return settling.hold(settling.heard(stored, error), no_look_up(error), before=stored)
    settling.telemetry.note("looked_up", refund_id=refund.id, verdict=type(verdict).__name__)
    if again:
        return _hand_over_again(settling, processor, stored, deadline)
    return _decide(settling, stored, verdict)


def _learn(settling: Settling, stored: Stored, deadline: Deadline, charge: Charge) -> None:
    """Update other refunds from the charge; this one has the slot, so nothing is imported."""
    payment = stored.payment
    seen = PaymentSnapshot(
        key=payment.key,
        payment_record=payment.payment_record,
        currency=payment.currency,
        captured=payment.captured,
        in_book=None,
        charge=charge,
    )
    try:
        followed = settling.learn(seen, deadline).followed
    except ProcessorUnavailableError as error:
        # Another worker has freed the slot meanwhile, and the charge could not be read once more.
        raise LedgerConflictError(f"{payment.key.charge_id} was not read again") from error
    if followed:
        # The refund and the verdict were read before this write: the next run decides anew.
        raise LedgerConflictError(f"a refund beside {stored.refund.id} moved on")


def _of_payment(settling: Settling, stored: Stored) -> Sequence[Refund]:
    """All refunds of the payment, if another one can have this one's processor refund."""
    payment = stored.payment
    if payment.bound_amount < stored.refund.amount:
        return ()
    refunds = settling.learn.every_refund(payment.key)
    if not are_all_bound(payment, refunds):
        # The index is not up to date: the next check tells.
        raise LedgerConflictError(f"refunds of {payment.key.charge_id} are not shown yet")
    return refunds


def _may_repeat(
    settling: Settling, processor: Processor, stored: Stored, deadline: Deadline
) -> bool:
    """Whether the instruction may be sent again; never if the charge has less left by now."""
    refund = stored.refund
    return (
        not settling.on_request
        and not stored.payment.is_over_refunded
        and refund.state is State.UNKNOWN
        and refund.looks + 1 >= REPEAT_LOOKS_MIN
        and refund.repeats < REPEATS_MAX
        and not settling.is_late(refund)
        and deadline.remaining_ms() >= SEND_MS_MIN
        and _is_left(settling, processor, stored, deadline)
    )


def _is_left(settling: Settling, processor: Processor, stored: Stored, deadline: Deadline) -> bool:
    """Whether enough is left on the charge for the instruction; true if charges are not shown."""
    payment_id = stored.refund.refunded_payment
    if not processor.capabilities.shows_payments or payment_id is None:
        return True
    charge = processor.charge(payment_id, deadline)
    _learn(settling, stored, deadline, charge)
    unshown = _reserved_beside(settling, stored, charge)
    return not asks_for_more(stored.refund, charge, settling.telemetry, unshown=unshown)


def _reserved_beside(settling: Settling, stored: Stored, charge: Charge) -> int:
    """What other refunds of ours reserve and the charge does not show, minor units.

    One waits for its turn, one is pending and not listed any more, one was taken back: each may
    move its amount yet.
    """
    payment = stored.payment
    reserved = payment.held - stored.refund.amount
    if reserved <= 0:
        return 0
    if charge.processor_refunds is None:
        return max(0, reserved - (payment.moved - payment.taken_back))
    alive = [
        one for one in charge.processor_refunds if one.status is not ProcessorRefundStatus.FAILED
    ]
    owners = settling.ledger.claimed(payment.key.processor, [one.id for one in alive])
    ours = [one for one in alive if one.id in owners or one.instruction_id is not None]
    return max(0, reserved - sum(one.money.amount for one in ours))


def _hand_over_again(
    settling: Settling, processor: Processor, stored: Stored, deadline: Deadline
) -> Settled:
    """Send the same instruction again under the same key; first write that this is about to be."""
    intent = settling.recorder.write(stored, noted(stored.refund, settling.why(HANDED_OVER_AGAIN)))
    taken_until_ms = intent.refund.next_check_ms or 0
    too_late = settling.clock.now_ms() + SEND_MS_MAX > taken_until_ms
    if too_late or deadline.remaining_ms() < SEND_MS_MIN:
        # This process was paused meanwhile: another run may soon take this refund.
        return Settled.HELD
    outcome = place(processor, intent.refund, deadline, repeated=True)
    told = type(outcome).__name__.lower()
    settling.telemetry.note("handed_over_again", refund_id=intent.refund.id, outcome=told)
    if isinstance(outcome, Accepted):
        return _decide(
            settling, intent, of_our_instruction(intent.refund, outcome.processor_refund)
        )
    # Any other answer does not tell whether the first instruction was executed.
    return settling.hold(intent, f"handed over again: {told}")


def _decide(settling: Settling, stored: Stored, verdict: Verdict) -> Settled:
    refund = stored.refund
    match verdict:
        case Unreadable():
            return _not_shown(settling, stored, "the charge lists no refunds")
        case KeyNotShown():
            return _not_shown(settling, stored, "the processor does not show its keys")
        case Ambiguous(reason, ids):
            return settling.escalate(stored, reason, {"movements": list(ids)})
        case NoneYet():
            return _none_yet(settling, stored)
        case Found(processor_refund):
            cause = FOUND if processor_refund.instruction_id is None else "found_by_order"
            after = after_processor_refund(
                refund, processor_refund, at_ms=settling.clock.now_ms(), cause=cause, actor=ACTOR
            )
            return settling.move_on(stored, after)


def _not_shown(
    settling: Settling,
    stored: Stored,
    why_not: str,
    *,
    said: str = "",
    before: Stored | None = None,
) -> Settled:
    """Handle a check that could not show the result: retry later, or ask for a person.

    The check is not conclusive, so it never makes the refund fail, whatever ``after_hold`` says. A
    person is asked only after the late-arrival window, and only if the check before met the same
    obstacle (whatever was ``said``): one odd answer is not enough.
    """
    refund, told = stored.refund, f"no look-up: {why_not}"
    enough = not settling.on_request and refund.looks + 1 >= HOLD_LOOK_UPS_MIN
    if enough and (refund.last_look or "").startswith(told) and settling.is_late(refund):
        return settling.escalate(before or stored, f"{why_not}{said}", {})
    return settling.hold(stored, f"{told}{said}", before=before)


def _none_yet(settling: Settling, stored: Stored) -> Settled:
    """Handle a check that found no refund: retry later, until the late-arrival window is over.

    A refund that is not found yet has not failed: the instruction may arrive late, or what the
    processor shows may lag behind.
    """
    refund = stored.refund
    if refund.state is State.REVIEW or not _hold_is_over(settling, refund):
        return settling.hold(stored, "no processor refund found", looked_up=1)
    if settling.settings.after_hold is AfterHold.REVIEW:
        return settling.escalate(stored, "no processor refund found during the hold", {})
    failure = Failure(
        code="not_executed",
        message="The processor shows no such refund, long after it was sent.",
    )
    why = settling.why("hold_over", look_ups=refund.look_ups + 1)
    after = transition(refund, Event.FAIL, why, failure=failure, next_check_ms=None)
    settling.telemetry.note("refund_failed_by_hold", refund_id=refund.id)
    return settling.move_on(stored, after)


def _hold_is_over(settling: Settling, refund: Refund) -> bool:
    """Whether enough checks found nothing, and this one came after the late-arrival window."""
    enough = not settling.on_request and refund.look_ups + 1 >= HOLD_LOOK_UPS_MIN
    return enough and settling.is_late(refund)
