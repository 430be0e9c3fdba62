"""`refundctl show`: one refund, from the first line of its history to what is still due."""

from collections.abc import Iterator
from itertools import chain

from deployed.command_lines import spelt
from refund_bridge.domain.payment import Payment, payment_key_of
from refund_bridge.domain.refund import Refund, refund_id_of
from refundctl import options
from refundctl.choices import choices
from refundctl.exits import Exit, MisusedError, RefusedError
from refundctl.facts import (
    answers_text,
    evidence_text,
    last_look_text,
    money,
    refund_json_whole,
    report_text,
    standing,
    why,
)
from refundctl.names import named
from refundctl.options import Call, Groups
from refundctl.output import Sheet, table_of
from refundctl.times import age, shown, shown_with_zone, zone_name

# At most this many refunds are named if a name leads to several.
SHOWN = 20


def declare(groups: Groups) -> None:
    """Add the command to the command line."""
    shown = options.command(groups, "show", _show, "One refund: its history, report and payment.")
    shown.add_argument(
        "id",
        nargs="?",
        help="rfd_..., or a Payment Record, PaymentIntent, invoice, charge, processor's refund or"
        " key that leads to one",
    )
    shown.add_argument("--key", help="instead of the id, the idempotency key it was asked with")


def _show(call: Call) -> Exit:
    world, asked = call.world, call.arguments
    if (asked.id is None) == (asked.key is None):
        raise MisusedError("Name the refund by its id, or by --key.")
    refund_id = asked.id or refund_id_of(asked.key, world.stage)
    refund = world.ledger.refund(refund_id) or only_one(call, refund_id, "show")
    payment = world.ledger.payment(payment_key_of(refund))
    now_ms = world.clock.now_ms()
    parts = chain(_parts(refund, payment, now_ms), ways_on(call, refund))
    call.output.page(parts, refund_json_whole(refund, payment))
    return Exit.DONE


def only_one(call: Call, name: str, command: str) -> Refund:
    """The only refund that a name other than its id leads to.

    Raises:
        RefusedError: the name leads to none, or to several: then each is named with the command.
    """
    found = [refund for _, (refund, _) in named(call.world, name)]
    if not found:
        raise RefusedError(f"There is no refund {name}.")
    if len(found) > 1:
        for refund in found[:SHOWN]:
            amount = money(refund.amount, refund.currency)
            line = call.line(spelt(command, refund.id))
            call.output.say(f"{amount} {standing(refund)}: {line}")
        raise RefusedError(f"{name} leads to {len(found)} refunds.")
    return found[0]


def _parts(refund: Refund, payment: Payment | None, now_ms: int) -> Iterator[str | Sheet]:
    yield pairs(f"Refund {refund.id}", refund_facts(refund, now_ms))
    yield ""
    yield timeline(refund)
    if payment is not None:
        yield ""
        yield pairs("Its payment", payment_facts(payment))


def ways_on(call: Call, refund: Refund) -> Iterator[str | Sheet]:
    """What may be done about the refund, with the command for each."""
    for choice in choices(refund):
        yield ""
        yield choice.when
        yield f"  {call.line(choice.command)}"


def pairs(title: str, facts: dict[str, str]) -> Sheet:
    """Facts with their names; empty ones are left out."""
    return table_of(("", ""), [(name, text) for name, text in facts.items() if text], title)


def timeline(refund: Refund) -> Sheet:
    """The whole history."""
    return table_of(
        ("", f"time ({zone_name()})", "from", "to", "cause", "by", "evidence"),
        [
            (
                str(entry.seq),
                shown(entry.at_ms),
                entry.before or "",
                entry.after,
                entry.cause,
                entry.actor,
                evidence_text(entry.evidence),
            )
            for entry in refund.history
        ],
        "What happened",
    )


def payment_facts(payment: Payment) -> dict[str, str]:
    """A payment's bookkeeping in words."""
    currency = payment.currency
    by_others = money(payment.foreign, currency) if payment.foreign else ""
    return {
        "payment record": payment.payment_record or "none is known to book it",
        "charge": f"{payment.key.charge_id} ({payment.key.processor})",
        "captured": money(payment.captured, currency),
        # `held` in the ledger includes what moved, which has a line of its own.
        "held by open refunds": money(payment.held - payment.moved, currency),
        "moved": money(payment.moved, currency),
        "refunded by others": by_others,
        "still refundable": money(payment.refundable, currency),
        "reported to Stripe": money(payment.booked, currency),
        "Stripe's sum unexplained": _unexplained(payment),
        "accepted excess": money(payment.accepted_excess, currency)
        if payment.accepted_excess
        else "",
        "report due": money(payment.report_due_amount, currency),
        "report failed": money(payment.report_failed_amount, currency),
        "busy with": payment.slot or "",
        "waiting": ", ".join(payment.waiting),
    }


def _unexplained(payment: Payment) -> str:
    """What Stripe showed as refunded beyond all that is reported, when we read it last."""
    return money(payment.unexplained, payment.currency) if payment.unexplained else ""


def refund_facts(refund: Refund, now_ms: int) -> dict[str, str]:
    """A refund's facts in words."""
    report, note = refund.report, refund.credit_note
    attempts = f", {report.attempts} attempts" if report.attempts else ""
    rings = f", its worker woken again {report.rings} times" if report.rings else ""
    return {
        "state": standing(refund).replace("_", " "),
        "amount": money(refund.amount, refund.currency),
        "made": f"{shown_with_zone(refund.created_at_ms)}, "
        f"{age(now_ms - refund.created_at_ms)} ago",
        "idempotency key": refund.idempotency_key or "",
        "asked for": f"{refund.request.reference_type.value} {refund.request.reference_id}, "
        f"{refund.request.refund_type.value}, by {refund.source.value}",
        "sent": f"{shown_with_zone(refund.started_at_ms)}, attempt {refund.attempt}"
        if refund.started_at_ms
        else "",
        "lease until": shown(refund.lease_until_ms),
        "processor's refund": refund.processor_refund_id or "",
        "processor's fee": money(refund.fee.amount, refund.fee.currency) if refund.fee else "",
        "unclaimed before we sent": _snapshot(refund),
        "why": why(refund),
        "failure": f"{refund.failure.code}: {refund.failure.message}" if refund.failure else "",
        "taken back": shown(refund.late_failure_at_ms),
        "handled": shown(refund.handled_at_ms),
        "contradicts": refund.contradicts or "",
        "report": f"{report_text(refund)}{attempts}{rings}",
        "reported": shown(report.reported_at_ms),
        "report's last error": report.last_error or "",
        "what Stripe answered": answers_text(report.answers),
        "credit note": f"{note.state.value} {note.id or note.last_error or ''}".strip()
        if note.attempts or note.id
        else "",
        "what Stripe answered to the note": answers_text(note.answers),
        "last look": last_look_text(refund),
        "what the processor answered": answers_text(refund.answers),
        "next look": shown(refund.next_check_ms),
    }


def _snapshot(refund: Refund) -> str:
    """The unclaimed processor refunds on the charge before the refund was sent."""
    if refund.snapshot is None:
        return "the charge was not read" if refund.started_at_ms else ""
    return ", ".join(refund.snapshot) or "none"
