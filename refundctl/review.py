"""`refundctl review`: what needs a person, with the evidence side by side.

It shows what we sent and when, what the processor lists on the charge now, and what Stripe's
Payment Record shows now. HitPay's refunds carry no reference of ours, so a person finds ours by
elimination.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

from deployed.command_lines import WORDS, Spelt, spelt
from refund_bridge.domain.charge import Charge, ProcessorRefund, ProcessorRefundStatus
from refund_bridge.domain.evidence import alike, is_its_amount, is_too_old
from refund_bridge.domain.payment import Payment, payment_key_of
from refund_bridge.domain.payment_record import PaymentRecord
from refund_bridge.domain.refund import Refund
from refund_bridge.domain.state_machine import State
from refund_bridge.ports.processor import ChargeNotFoundError, ProviderUnavailableError
from refund_bridge.ports.stripe import StripeObjectNotFoundError
from refund_bridge.refunding.look_up import charge_of
from refundctl import options, walk
from refundctl.exits import Exit, RefusedError
from refundctl.facts import first_of_all, last_look_text, money, refund_json_whole, standing
from refundctl.options import Call, Groups
from refundctl.output import Sheet, table_of
from refundctl.show import pairs, payment_facts
from refundctl.times import age, rfc3339, shown, zone_name
from refundctl.world import World

# The index of statuses is searched over this time; besides, all open refunds are searched.
LOOK_BACK_MS = 366 * 86_400_000


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """One refund, and what all sides show of it now.

    Attributes:
        charge, record: `None` if it could not be read; then `charge_trouble` or `record_trouble`
            says why.
        claimed: for each claimed processor refund on the charge, the refund that claims it.
    """

    refund: Refund
    payment: Payment | None
    charge: Charge | None
    charge_trouble: str
    claimed: Mapping[str, str]
    record: PaymentRecord | None
    record_trouble: str

    def verdict(self, processor_refund: ProcessorRefund) -> str:  # noqa: PLR0911 - one for each reason
        """Whether a processor refund can be this refund's, and if not, why."""
        refund, owner = self.refund, self.claimed.get(processor_refund.id)
        if processor_refund.id == refund.processor_refund_id:
            return "bound to this refund"
        if owner is not None:
            return f"belongs to {owner}"
        if processor_refund.id in (refund.snapshot or ()):
            return "was there before we sent"
        if processor_refund.status is ProcessorRefundStatus.FAILED:
            return "failed"  # a failed processor refund proves nothing
        if not alike(refund, [processor_refund], self.claimed):
            return "another amount"
        if refund.snapshot is None and is_too_old(refund, processor_refund):
            return "older than our sending"
        return CAN_BE_OURS if is_its_amount(processor_refund, refund) else MOVED_ANOTHER_AMOUNT

    @property
    def candidates(self) -> list[ProcessorRefund]:
        """The processor refunds that can be this refund's."""
        return self._of_verdict(CAN_BE_OURS)

    @property
    def of_another_amount(self) -> list[ProcessorRefund]:
        """The processor refunds that this refund's instruction made with another amount."""
        return self._of_verdict(MOVED_ANOTHER_AMOUNT)

    def _of_verdict(self, verdict: str) -> list[ProcessorRefund]:
        processor_refunds = (
            self.charge.processor_refunds if self.charge is not None else None
        ) or ()
        return [
            processor_refund
            for processor_refund in processor_refunds
            if self.verdict(processor_refund) == verdict
        ]


CAN_BE_OURS = "CAN BE OURS"
MOVED_ANOTHER_AMOUNT = "ANOTHER AMOUNT UNDER OUR ORDER"


def declare(groups: Groups) -> None:
    """Add the command to the command line."""
    review = options.command(groups, "review", _review, "What needs a person, with the evidence.")
    review.add_argument("id", nargs="?", help="only this refund, whatever its state")


def _review(call: Call) -> Exit:
    world = call.world
    found = _asked_for(world, call.arguments.id)
    with call.output.progress("Asking processors and Stripe", len(found)) as advance:
        gathered = []
        for refund in found:
            gathered.append(gather(world, refund))
            advance(1)
    now_ms = world.clock.now_ms()
    if gathered:
        parts = chain.from_iterable(_parts(call, evidence, now_ms) for evidence in gathered)
        call.output.page(parts, [_json(evidence) for evidence in gathered])
    else:
        call.output.page((), [])
        failed = call.line(spelt("list", "--report", "failed"))
        call.output.say(f"No refund is in review. For reports that failed see: {failed}")
    return Exit.DONE


def _asked_for(world: World, refund_id: str | None) -> list[Refund]:
    if refund_id is not None:
        refund = world.ledger.refund(refund_id)
        if refund is None:
            raise RefusedError(f"There is no refund {refund_id}.")
        return [refund]
    until_ms = world.clock.now_ms() + walk.AHEAD_MS
    listed = walk.made_between(world.listing, until_ms - LOOK_BACK_MS, until_ms, "review")
    found = {
        refund.id: refund
        for refund in chain(walk.open_refunds(world.ledger, world.listing), *listed)
        if refund.state is State.REVIEW or refund.awaits_handling
    }
    return sorted(found.values(), key=first_of_all)


def gather(world: World, refund: Refund) -> Evidence:
    """Read all sides; if one cannot be read, say so and show the others."""
    payment = world.ledger.payment(payment_key_of(refund))
    charge, charge_trouble = _charge(world, refund, payment)
    processor_refunds = (charge.processor_refunds if charge is not None else None) or ()
    record, record_trouble = _record(world, refund)
    return Evidence(
        refund=refund,
        payment=payment,
        charge=charge,
        charge_trouble=charge_trouble,
        claimed=world.ledger.claimed(refund.processor, [one.id for one in processor_refunds]),
        record=record,
        record_trouble=record_trouble,
    )


def _charge(world: World, refund: Refund, payment: Payment | None) -> tuple[Charge | None, str]:
    if payment is None or refund.processor not in world.processors:
        return None, f"{refund.processor} is not set up here, or the ledger lacks the payment"
    try:
        processor = world.processors[refund.processor]
        return charge_of(processor, payment, [refund], world.deadline()), ""
    except (ChargeNotFoundError, ProviderUnavailableError) as error:
        return None, str(error)


def _record(world: World, refund: Refund) -> tuple[PaymentRecord | None, str]:
    if refund.payment_record is None:
        return None, "no Payment Record is known to book the payment"
    try:
        return world.stripe_reports.payment_record(refund.payment_record, world.deadline()), ""
    except (StripeObjectNotFoundError, ProviderUnavailableError) as error:
        return None, str(error)


# --- in words -------------------------------------------------------------------------------------


def _parts(call: Call, evidence: Evidence, now_ms: int) -> Iterator[str | Sheet]:
    refund = evidence.refund
    yield pairs(f"{standing(refund).replace('_', ' ')}: {refund.id}", _sent(evidence, now_ms))
    yield ""
    yield from _charge_parts(evidence)
    yield ""
    yield pairs("What Stripe shows now", _stripe_facts(evidence))
    if evidence.payment is not None:
        yield ""
        yield pairs("What the ledger keeps of the payment", payment_facts(evidence.payment))
    if refund.awaits_handling:
        yield ""
        yield "The processor took it back. When that is handled:"
        yield "  " + call.line(spelt("handle", refund.id, "--note", WORDS, "--dry-run"))
    if refund.state is State.REVIEW:
        yield ""
        yield "What may be decided"
        yield from (f"  {line}" for line in _choices(call, evidence))
    yield ""


def _sent(evidence: Evidence, now_ms: int) -> dict[str, str]:
    refund = evidence.refund
    before = "the charge was not read before" if refund.snapshot is None else None
    return {
        "we sent": money(refund.amount, refund.currency),
        "at": f"{shown(refund.started_at_ms)} {zone_name()} "
        f"({age(now_ms - (refund.started_at_ms or now_ms))} "
        f"ago), attempt {refund.attempt}",
        "of charge": f"{refund.processor_payment_id} ({refund.processor})",
        "because of": f"{refund.request.reference_type.value} {refund.request.reference_id}, "
        f"by {refund.history[0].actor if refund.history else refund.source.value}",
        "what came of it": refund.history[-1].cause if refund.history else "",
        "last look": last_look_text(refund),
        "bound to": refund.processor_refund_id or "nothing",
        "unclaimed before we sent": before or ", ".join(refund.snapshot or ()) or "none",
    }


def _charge_parts(evidence: Evidence) -> Iterator[str | Sheet]:
    charge = evidence.charge
    if charge is None:
        yield f"What the processor lists now: it could not be read: {evidence.charge_trouble}"
        return
    currency = charge.money.currency
    yield (
        f"The charge is {money(charge.money.amount, currency)}, {charge.processor_status}, "
        f"{money(charge.refunded, currency)} of it refunded"
    )
    if charge.processor_refunds is None:
        yield "It does not list its refunds in a form that can be read."
        return
    yield table_of(
        ("refund", "amount", "status", f"made ({zone_name()})", f"moved ({zone_name()})", "whose"),
        [
            (
                processor_refund.id,
                money(processor_refund.money.amount, processor_refund.money.currency),
                processor_refund.processor_status or processor_refund.status.value,
                shown(processor_refund.created_at_ms),
                shown(processor_refund.refunded_at_ms),
                evidence.verdict(processor_refund),
            )
            for processor_refund in charge.processor_refunds
        ],
        "What the processor lists now"
        if charge.processor_refunds
        else "The processor lists no refund now",
    )


def _stripe_facts(evidence: Evidence) -> dict[str, str]:
    record = evidence.record
    if record is None:
        return {"could not be read": evidence.record_trouble}
    currency = record.currency
    return {
        "payment record": record.id,
        "captured": money(record.captured, currency),
        "refunded": money(record.amount_refunded, currency),
    }


def _choices(call: Call, evidence: Evidence) -> Iterator[str]:
    refund_id = evidence.refund.id
    for processor_refund in evidence.candidates:
        yield call.line(
            spelt("resolve", refund_id, "--succeeded", processor_refund.id, "--dry-run")
        )
    if evidence.of_another_amount:
        yield "Under this refund's id the processor moved another amount, which no refund here can"
        yield "stand for. When the processor has mended that, this releases what is reserved:"
        yield call.line(_failed(refund_id, "--despite-evidence"))
        return
    if not evidence.candidates:
        processor = evidence.refund.processor
        yield f"Nothing that is listed can be ours now. If {processor}'s dashboard or support says"
        yield "the same:"
    yield call.line(_failed(refund_id))


def _failed(refund_id: str, *options: str) -> Spelt:
    return spelt("resolve", refund_id, "--failed", *options, "--reason", WORDS, "--dry-run")


# --- for machines ---------------------------------------------------------------------------------


def _json(evidence: Evidence) -> dict[str, Any]:
    charge, record = evidence.charge, evidence.record
    return {
        "refund": refund_json_whole(evidence.refund, evidence.payment),
        "charge": None
        if charge is None
        else {
            "id": charge.id,
            "status": charge.processor_status,
            "amount": charge.money.amount,
            "currency": charge.money.currency,
            "refunded": charge.refunded,
            "movements": None
            if charge.processor_refunds is None
            else [
                _processor_refund_json(evidence, processor_refund)
                for processor_refund in charge.processor_refunds
            ],
        },
        "charge_trouble": evidence.charge_trouble or None,
        "candidates": [processor_refund.id for processor_refund in evidence.candidates],
        "stripe": None
        if record is None
        else {
            "payment_record": record.id,
            "currency": record.currency,
            "captured": record.captured,
            "refunded": record.amount_refunded,
        },
        "stripe_trouble": evidence.record_trouble or None,
    }


def _processor_refund_json(evidence: Evidence, processor_refund: ProcessorRefund) -> dict[str, Any]:
    return {
        "id": processor_refund.id,
        "amount": processor_refund.money.amount,
        "currency": processor_refund.money.currency,
        "status": processor_refund.processor_status,
        "created_at": rfc3339(processor_refund.created_at_ms),
        "refunded_at": rfc3339(processor_refund.refunded_at_ms),
        "claimed_by": evidence.claimed.get(processor_refund.id),
        "verdict": evidence.verdict(processor_refund),
    }
