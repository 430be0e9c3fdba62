"""A refund and its payment as every command shows them: for machines, and in words.

For machines it is the refund object of the HTTP interface; a member `ledger` has what only the
ledger knows. Keys are only ever added.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from refund_bridge.contract.refund_object import refund_object
from refund_bridge.domain.money import Money
from refund_bridge.domain.payment import Payment
from refund_bridge.domain.refund import Entry, Refund
from refund_bridge.domain.report import ProviderAnswer, with_last_answer
from refund_bridge.domain.state_machine import CreditNoteState, ReportState, State
from refundctl.times import rfc3339, shown

# In these states settling or a person must still find out or decide the result.
NOT_FINAL = frozenset(
    {State.REQUESTED, State.SUBMITTING, State.UNKNOWN, State.PENDING, State.REVIEW}
)


# Shown instead of the state for a refund that succeeded and that the processor took back.
TAKEN_BACK = "taken_back"


def is_stuck(refund: Refund) -> bool:
    """Whether the refund is not at its end: its outcome is open, Stripe is not told of it yet, or
    the processor took it back and nobody has handled that."""
    owed = refund.report.state in (ReportState.DUE, ReportState.FAILED)
    return refund.state in NOT_FINAL or owed or refund.awaits_handling


def first_of_all(refund: Refund) -> tuple[bool, int, str]:
    """The order in which stuck refunds are shown: taken back ones first, then the oldest."""
    return not refund.awaits_handling, refund.created_at_ms, refund.id


def standing(refund: Refund) -> str:
    """The refund's state in one word, or `taken_back`."""
    return refund.state.value if refund.late_failure_at_ms is None else TAKEN_BACK


def money(amount: int, currency: str) -> str:
    """An amount for people: SGD 25.00."""
    return Money(amount, currency).for_people()


def report_text(refund: Refund) -> str:
    """The state of the report to Stripe, and its cause."""
    report = refund.report
    return report.state.value if report.cause is None else f"{report.state.value}, {report.cause}"


def why(refund: Refund) -> str:
    """Why the refund is in its present state, as far as that is known."""
    if refund.late_failure_at_ms is not None:
        is_handled = refund.handled_at_ms is not None
        return "taken back by the processor" + (", handled" if is_handled else "")
    if refund.state in NOT_FINAL:
        return _looked(refund) or (refund.history[-1].cause if refund.history else "")
    if refund.failure is not None:
        return refund.failure.code
    if refund.report.state is not ReportState.REPORTED:
        return refund.report.last_error or refund.report.cause or ""
    if refund.credit_note.state is CreditNoteState.FAILED:
        return f"no credit note: {refund.credit_note.last_error}"
    return ""


def _looked(refund: Refund) -> str:
    """The result of the last check; if it was not conclusive, with what the provider answered."""
    looked = refund.last_look or ""
    if not refund.answers or refund.answers[-1].said in looked:
        return looked
    told_nothing = looked.startswith(("no look-up", "not looked after"))
    return with_last_answer(looked, refund.answers) if told_nothing else looked


def last_look_text(refund: Refund) -> str:
    """The result of the last check, and how many checks there were in the refund's state."""
    if not refund.last_look or not refund.looks:
        return refund.last_look or ""  # each state counts from 0: the check was in a former state
    return f"{refund.last_look} (looks in this state: {refund.looks}, answered: {refund.look_ups})"


def refund_json(refund: Refund, payment: Payment | None) -> dict[str, Any]:
    """A refund for machines."""
    return refund_object(refund, payment, with_key=True) | {"ledger": _ledger_json(refund)}


def refund_json_whole(refund: Refund, payment: Payment | None) -> dict[str, Any]:
    """A refund for machines, with its history, what Stripe is told, and its whole payment."""
    report = refund.report
    parameters = report.parameters
    return refund_json(refund, payment) | {
        "history": [entry_json(entry) for entry in refund.history],
        "report": {
            "state": report.state.value,
            "cause": None if report.cause is None else report.cause.value,
            "forced": report.forced,
            "epoch": report.epoch,
            "rings": report.rings,
            "last_ring_at": rfc3339(report.last_ring_ms),
            "answers": _answers_json(report.answers),
            "parameters": None
            if parameters is None
            else {name: getattr(parameters, name) for name in parameters.__dataclass_fields__},
        },
        "ledger_payment": None if payment is None else payment_json(payment),
    }


def entry_json(entry: Entry) -> dict[str, Any]:
    """One line of history for machines."""
    return {
        "sequence": entry.seq,
        "at": rfc3339(entry.at_ms),
        "from": entry.before,
        "to": entry.after,
        "cause": entry.cause,
        "actor": entry.actor,
        "evidence": dict(entry.evidence),
    }


def payment_json(payment: Payment) -> dict[str, Any]:
    """A payment's bookkeeping for machines; amounts in minor units."""
    return {
        "processor": payment.key.processor,
        "processor_payment_id": payment.key.charge_id,
        "payment_record": payment.payment_record,
        "currency": payment.currency,
        "captured": payment.captured,
        "held": payment.held,
        "moved": payment.moved,
        "refundable": payment.refundable,
        "by_others": payment.foreign,
        "booked": payment.booked,
        "unexplained": payment.unexplained,
        "accepted_excess": payment.accepted_excess,
        "report_due": payment.report_due_amount,
        "report_failed": payment.report_failed_amount,
        "slot": payment.slot,
        "waiting": list(payment.waiting),
    }


def answers_text(answers: Sequence[ProviderAnswer]) -> str:
    """What a provider answered to attempts that it did not accept, oldest first."""
    return "; ".join(f"attempt {one.attempt}, {shown(one.at_ms)}: {one.said}" for one in answers)


def _answers_json(answers: Sequence[ProviderAnswer]) -> list[dict[str, Any]]:
    return [{"attempt": one.attempt, "at": rfc3339(one.at_ms), "said": one.said} for one in answers]


def evidence_text(evidence: Mapping[str, Any]) -> str:
    """Evidence in words; values whose names end in milliseconds are shown as times of the zone."""
    facts = {
        name.removesuffix("_ms"): shown(value) if name.endswith("_ms") else value
        for name, value in evidence.items()
        if value not in (None, "", [], ())
    }
    return "  ".join(f"{name}={_text(value)}" for name, value in facts.items())


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _ledger_json(refund: Refund) -> dict[str, Any]:
    return {
        "state": refund.state.value,
        "stuck": is_stuck(refund),
        "attempt": refund.attempt,
        "sent_at": rfc3339(refund.started_at_ms),
        "lease_until": rfc3339(refund.lease_until_ms),
        "snapshot": None if refund.snapshot is None else list(refund.snapshot),
        "looks": refund.looks,
        "look_ups": refund.look_ups,
        "last_look": refund.last_look,
        "next_look_at": rfc3339(refund.next_check_ms),
        "contradicts": refund.contradicts,
        "handled_at": rfc3339(refund.handled_at_ms),
        "answers": _answers_json(refund.answers),
    }


def goes_to(refund: Refund) -> str:
    """The refunded payment, by its Payment Record if one is known; or whom a payout goes to."""
    payment = refund.payment_record or refund.refunded_payment
    return payment or f"to {refund.request.reference_id}"
