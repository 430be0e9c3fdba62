"""Ledger, processor and Stripe side by side: every difference between them, in words.

It compares what each side shows, and uses nothing of the product's own arithmetic.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from local.simulators.currency import major
from local.simulators.records import MadeRefund, RecordedReport
from local.simulators.seeding import DemoPayment

Item = Mapping[str, Any]
MOVED_NOTHING = frozenset({"failed", "rejected", "aborted"})
PUBLIC = {"succeeded": "succeeded", "failed": "failed", "rejected": "failed", "aborted": "failed"}


@dataclass(frozen=True, kw_only=True)
class Sides:
    """What each side shows of the same payments.

    Attributes:
        refunds: the ledger's refunds, as stored.
        payments: the ledger's payments, as stored.
        processor_refunds: HitPay's refunds.
        reports: the reports that Stripe accepted.
        paid: the payments as they were made, before any refund.
        answered: the last status that callers got, by refund id.
    """

    refunds: Sequence[Item]
    payments: Sequence[Item]
    processor_refunds: Sequence[MadeRefund]
    reports: Sequence[RecordedReport]
    paid: Sequence[DemoPayment]
    answered: Mapping[str, str]


def differences(sides: Sides) -> list[str]:
    """All differences; empty if each refund happened once and was reported."""
    return [
        *_unfinished(sides),
        *_not_moved_as_recorded(sides),
        *_moved_without_a_refund(sides),
        *_not_told_once(sides),
        *_told_without_a_refund(sides),
        *_charges_that_do_not_add_up(sides),
        *_callers_told_otherwise(sides),
    ]


def _unfinished(sides: Sides) -> Iterator[str]:
    for refund in sides.refunds:
        if refund["state"] not in PUBLIC:
            yield f"{refund['id']} is still {refund['state']} ({refund.get('last_look')})"


def _not_moved_as_recorded(sides: Sides) -> Iterator[str]:
    """Refunds that were lost, are bound to nothing or twice, or have another amount or payment."""
    processor_refunds = {
        processor_refund.id: processor_refund for processor_refund in sides.processor_refunds
    }
    owners = Counter(_bound(refund) for refund in sides.refunds if _bound(refund))
    for refund in sides.refunds:
        name, processor_refund_id = refund["id"], _bound(refund)
        if refund["state"] in MOVED_NOTHING:
            if processor_refund_id:
                yield f"{name} is {refund['state']} and bound to {processor_refund_id}"
            continue
        processor_refund = processor_refunds.get(processor_refund_id)
        if processor_refund is None:
            yield f"{name} is {refund['state']}, but HitPay has no refund {processor_refund_id!r}"
            continue
        if owners[processor_refund_id] > 1:
            yield f"{name} shares {processor_refund_id} with another refund"
        recorded = (
            refund["processor_payment_id"],
            major(int(refund["amount"]), refund["currency"]),
            refund["currency"],
            refund["state"],
        )
        moved = (
            processor_refund.payment_id,
            processor_refund.amount,
            processor_refund.currency.lower(),
            processor_refund.status,
        )
        if recorded != moved:
            yield f"{name} is {recorded}, HitPay shows {moved}"


def _moved_without_a_refund(sides: Sides) -> Iterator[str]:
    """Processor refunds that belong to no refund, or are the second one for a refund."""
    owned = {_bound(refund) for refund in sides.refunds}
    for processor_refund in sides.processor_refunds:
        if processor_refund.id not in owned:
            amount, name = processor_refund.amount, processor_refund.id
            yield f"HitPay moved {amount} as {name}, which no refund has"


def _not_told_once(sides: Sides) -> Iterator[str]:
    told: dict[str, list[RecordedReport]] = defaultdict(list)
    for report in sides.reports:
        told[report.refund_reference].append(report)
    for refund in sides.refunds:
        if refund["state"] != "succeeded":
            continue
        name, reports = refund["id"], told[_bound(refund)]
        if refund["report"]["state"] != "reported":
            yield f"{name} owes a report: {refund['report']['state']}"
        if len(reports) != 1:
            yield f"Stripe was told {len(reports)} times of {name}"
        for report in reports:
            booked = (report.payment_record, report.amount, report.currency)
            recorded = (refund["payment_record"], int(refund["amount"]), refund["currency"])
            if booked != recorded:
                yield f"{name} is {recorded}, Stripe was told {booked}"


def _told_without_a_refund(sides: Sides) -> Iterator[str]:
    succeeded = {_bound(r) for r in sides.refunds if r["state"] == "succeeded"}
    for report in sides.reports:
        if report.refund_reference not in succeeded:
            yield f"Stripe was told of {report.refund_reference}, which no success has"


def _charges_that_do_not_add_up(sides: Sides) -> Iterator[str]:
    """Charges that are over-refunded, or whose sums differ in the ledger or at Stripe."""
    ledger = {payment["charge_id"]: payment for payment in sides.payments}
    for payment in sides.paid:
        whole = major(payment.amount, payment.currency)
        moved = sum(m.amount for m in sides.processor_refunds if m.payment_id == payment.charge_id)
        booked = sum(r.amount for r in sides.reports if r.payment_record == payment.record_id)
        if moved > whole:
            yield f"{payment.record_id}: HitPay moved {moved} of {whole}"
        if major(booked, payment.currency) != moved:
            yield f"{payment.record_id}: HitPay moved {moved}, Stripe's book shows {booked}"
        kept = ledger.get(payment.charge_id)
        if kept is None:
            if moved:
                yield f"{payment.record_id}: the ledger does not know the payment"
            continue
        for sum_of in ("moved", "held", "booked", "bound_amount"):
            if major(int(kept[sum_of]), payment.currency) != moved:
                yield f"{payment.record_id}: {sum_of} is {kept[sum_of]}, HitPay moved {moved}"
        if kept.get("slot") or kept.get("waiting"):
            yield f"{payment.record_id} is still busy: {kept.get('slot')} {kept.get('waiting')}"


def _callers_told_otherwise(sides: Sides) -> Iterator[str]:
    kept = {refund["id"]: PUBLIC.get(refund["state"]) for refund in sides.refunds}
    for refund_id, status in sides.answered.items():
        if kept.get(refund_id) != status:
            yield f"a caller was told {status} of {refund_id}, which is {kept.get(refund_id)}"
    for refund_id in kept.keys() - sides.answered.keys():
        yield f"{refund_id} was never told to anybody"


def _bound(refund: Item) -> str:
    return str(refund.get("processor_refund_id", ""))
