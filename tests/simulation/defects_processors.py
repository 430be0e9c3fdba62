"""Defects planted where processors differ: keys, retries, routing, refunds without a payment."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from refund_bridge.domain import evidence
from refund_bridge.domain.charge import Charge
from refund_bridge.domain.evidence import Verdict
from refund_bridge.domain.instruction import Outcome
from refund_bridge.domain.payment import PaymentKey, unlinked_payment_key
from refund_bridge.domain.payment_snapshot import LocatedPayment
from refund_bridge.domain.refund import Failure, Refund
from refund_bridge.domain.state_machine import Event
from refund_bridge.domain.transitions import transition
from refund_bridge.ports.processor import Processor
from refund_bridge.ports.runtime import Deadline
from refund_bridge.refunding import execute, look_up
from refund_bridge.refunding.locate_payment import PaymentLocator
from refund_bridge.refunding.look_up import KnownRefunds
from refund_bridge.refunding.record_outcome import Stored
from refund_bridge.refunding.send import place
from refund_bridge.refunding.unlinked import locate_unlinked
from refund_bridge.settling import find_out
from refund_bridge.settling.settle import SettleRefund
from refund_bridge.settling.settling import Settled, Settling
from tests.simulation.options import LONE_RECORD
from tests.simulation.planting import defect


@defect(caught_at=27)
def repeat_at_look_up() -> Iterator[None]:
    """A refund that is not found is sent again, though the processor cannot recognise a retry."""
    none_yet = find_out._none_yet

    def again(settling: Settling, stored: Stored) -> Settled:
        deadline = Deadline.after(settling.clock, 24_000)
        processor = settling.processors[stored.refund.processor]
        if find_out._may_repeat(settling, processor, stored, deadline):
            return find_out._hand_over_again(settling, processor, stored, deadline)
        return none_yet(settling, stored)

    with patch.object(find_out, "_none_yet", again):
        yield


@defect(caught_at=15)
def repeat_with_a_new_id() -> Iterator[None]:
    """An instruction is sent again with a new key, so that the processor makes a second refund."""

    def renamed(processor: Processor, refund: Refund, *rest: Any, **more: Any) -> Outcome:
        return place(processor, replace(refund, id=f"{refund.id}-2"), *rest, **more)

    with patch.object(find_out, "place", renamed):
        yield


@defect(caught_at=123)
def repeat_on_request() -> Iterator[None]:
    """Reading a refund sends its instruction again."""
    may_repeat = find_out._may_repeat

    def always(
        settling: Settling, processor: Processor, stored: Stored, deadline: Deadline
    ) -> bool:
        return may_repeat(replace(settling, on_request=False), processor, stored, deadline)

    with patch.object(find_out, "_may_repeat", always):
        yield


@defect(caught_at=15)
def repeat_without_a_word() -> Iterator[None]:
    """A retry is not written to the ledger first, and its late-arrival window is not extended."""

    def silently(
        settling: Settling, processor: Processor, stored: Stored, deadline: Deadline
    ) -> Settled:
        outcome = place(processor, stored.refund, deadline, repeated=True)
        return settling.hold(stored, f"again: {type(outcome).__name__}", looked_up=True)

    with patch.object(find_out, "_hand_over_again", silently):
        yield


@defect(caught_at=15)
def repeat_taken_for_too_short() -> Iterator[None]:
    """A settle run sends an instruction again just before the next run may take the refund."""
    settled = SettleRefund.__call__

    def hasty(self: SettleRefund, *arguments: Any) -> Settled:
        settings = replace(self.settings, take_ms=5_000)
        return settled(replace(self, settings=settings), *arguments)

    with patch.object(find_out, "SEND_MS_MAX", 0), patch.object(SettleRefund, "__call__", hasty):
        yield


def _fail(settling: Settling, stored: Stored) -> Settled:
    failure = Failure(code="not_executed", message="not found")
    why = settling.why("not_found")
    after = transition(stored.refund, Event.FAIL, why, failure=failure, next_check_ms=None)
    return settling.move_on(stored, after)


@defect(caught_at=104)
def given_up_instead_of_repeated() -> Iterator[None]:
    """A refund that the processor does not show yet fails, instead of being sent again."""

    def give_up(settling: Settling, _: Processor, stored: Stored, __: Deadline) -> Settled:
        return _fail(settling, stored)

    with patch.object(find_out, "_hand_over_again", give_up):
        yield


@defect(caught_at=115)
def key_not_shown_is_failed() -> Iterator[None]:
    """If the processor cannot be asked for a key, the refund fails."""

    def give_up(settling: Settling, stored: Stored, *_: object, **__: object) -> Settled:
        return _fail(settling, stored)

    with patch.object(find_out, "_not_shown", give_up):
        yield


@defect(caught_at=17)
def keys_not_asked_for() -> Iterator[None]:
    """Settling only reads the payment, even if the processor does not show payments."""

    def look(
        processor: Processor, refund: Refund, known: KnownRefunds, deadline: Deadline, **_: Any
    ) -> Verdict:
        charge = processor.charge(refund.processor_payment_id, deadline)
        return evidence.judge(refund, charge, known.claimed(refund.processor, ()))

    with patch.object(find_out, "look_for", look):
        yield


@defect(caught_at=457)
def instruction_ids_ignored() -> Iterator[None]:
    """The instruction that a processor refund shows is ignored."""

    def blind(refund: Refund, charge: Charge, claimed: Mapping[str, str]) -> Any:
        listed = charge.processor_refunds
        bare = (
            None if listed is None else tuple(replace(one, instruction_id=None) for one in listed)
        )
        return evidence.judge(refund, replace(charge, processor_refunds=bare), claimed)

    with patch.object(look_up, "judge", blind):
        yield


@defect(caught_at=4)
def payments_read_that_are_not_shown() -> Iterator[None]:
    """Every payment is read before its refund, even at processors that show no payments."""

    def always(self: PaymentLocator, key: PaymentKey, **_: bool) -> bool:
        return not key.is_unlinked

    with patch.object(PaymentLocator, "_reads_charge", always):
        yield


@defect(caught_at=34)
def first_door_taken() -> Iterator[None]:
    """If a record names two processors, the first is used, whatever the caller says."""

    def first(self: PaymentLocator, found: Mapping[str, PaymentKey], *_: Any) -> PaymentKey | None:
        return next(iter(found.values()), None)

    with patch.object(PaymentLocator, "_chosen", first):
        yield


@defect(caught_at=17)
def unlinked_reported_unasked() -> Iterator[None]:
    """A refund without a payment is reported though its caller named no record."""

    def reported(*arguments: Any) -> LocatedPayment:
        located = locate_unlinked(*arguments)
        return replace(located, report_to=located.report_to or LONE_RECORD)

    with patch.object(execute, "locate_unlinked", reported):
        yield


@defect(caught_at=261)
def unlinked_has_headroom_of_its_own() -> Iterator[None]:
    """Money sent to a card is not counted with the payment of the record that it is reported on."""

    def alone(locator: Any, refund_id: str, request: Any, *rest: Any) -> LocatedPayment:
        located = locate_unlinked(locator, refund_id, request, *rest)
        key = unlinked_payment_key(located.key.processor, refund_id)
        seen = replace(located.seen, key=key, payment_record=None, captured=request.amount)
        return replace(located, seen=seen)

    with patch.object(execute, "locate_unlinked", alone):
        yield


@defect(caught_at=34)
def any_door_is_unlinked() -> Iterator[None]:
    """A refund without a payment is sent to processors that cannot make one."""

    def unable(locator: PaymentLocator, *rest: Any) -> LocatedPayment:
        class Open:
            def __init__(self, inner: Processor) -> None:
                self.capabilities = replace(inner.capabilities, unlinked=True)

        doors: Any = {name: Open(one) for name, one in locator.processors.items()}
        return locate_unlinked(replace(locator, processors=doors), *rest)

    with patch.object(execute, "locate_unlinked", unable):
        yield
