"""Credit notes on paid invoices, tied to refunds that were reported on Payment Records.

https://docs.stripe.com/api/credit_notes: no Stripe balance, no lines, no taxes. Two notes for one
refund are issued if they are asked for; whether Stripe would is not documented.
"""

from local.simulators import stripe_parameters as read
from local.simulators.json_text import JsonObject
from local.simulators.stripe_book import CreditNote, NotedRefund, StripeBook
from local.simulators.stripe_errors import invalid, no_such, refused
from local.simulators.stripe_shapes import note_body

_REASONS = ("duplicate", "fraudulent", "order_change", "product_unsatisfactory")
# fmt: off
_KNOWN = frozenset([
    "amount", "credit_amount", "effective_at", "email_type", "expand", "invoice", "lines", "memo",
    "metadata", "out_of_band_amount", "reason", "refund_amount", "refunds", "shipping_cost",
])
_KNOWN_OF_LIST = frozenset([
    "created", "customer", "customer_account", "ending_before", "expand", "invoice", "limit",
    "starting_after",
])
# fmt: on


def credited(book: StripeBook, invoice_id: str) -> int:
    """Return the sum of an invoice's credit notes."""
    return sum(note.amount for note in book.notes.values() if note.invoice == invoice_id)


def create_note(book: StripeBook, parameters: JsonObject, *, livemode: bool) -> CreditNote:
    """Check and issue a credit note on a paid invoice."""
    read.only(parameters, _KNOWN)
    invoice_id = read.string(parameters, "invoice", "invoice")
    reason = read.optional_string(parameters, "reason")
    if reason is not None and reason not in _REASONS:
        raise invalid(f"Invalid reason: must be one of {', '.join(_REASONS)}", param="reason")
    parts = [
        read.optional_integer(parameters, name) or 0
        for name in ("credit_amount", "out_of_band_amount", "refund_amount")
    ]
    asked = [_refund(item, position) for position, item in enumerate(_items(parameters))]
    invoice = book.invoice(invoice_id, livemode)
    refunds = tuple(_known(book, item, livemode) for item in asked)
    amount = read.optional_integer(parameters, "amount")
    covered = sum(parts) + sum(refund.amount for refund in refunds)
    if amount is None:
        raise refused("You must specify at least one of amount, lines or shipping_cost.")
    if amount < 1:
        raise invalid("Invalid amount: it must be positive.", param="amount")
    if amount != covered:
        raise refused(
            "The sum of credit_amount, refund_amount, out_of_band_amount and refunds must equal "
            f"the post payment amount of the credit note: {covered} is not {amount}."
        )
    if amount > invoice.amount_paid - credited(book, invoice.id):
        raise refused("The credit note amount is greater than the invoice's remaining amount.")
    number = len(book.notes) + 1
    note = CreditNote(
        id=f"cn_{number:06d}",
        number=f"SIM-CN-{number:02d}",
        invoice=invoice.id,
        amount=amount,
        currency=invoice.currency,
        livemode=livemode,
        created=book.now(),
        reason=reason,
        memo=read.optional_string(parameters, "memo"),
        out_of_band_amount=parts[1],
        metadata=read.metadata(parameters),
        refunds=refunds,
    )
    book.notes[note.id] = note
    return note


def list_notes(book: StripeBook, parameters: JsonObject, *, livemode: bool) -> JsonObject:
    """List credit notes, newest first, of one invoice or of all."""
    read.only(parameters, _KNOWN_OF_LIST)
    invoice_id = read.optional_string(parameters, "invoice")
    asked = read.optional_integer(parameters, "limit")
    limit = 10 if asked is None else asked
    if not 1 <= limit <= 100:
        raise invalid("Invalid limit: it must be between 1 and 100.", param="limit")
    notes = [
        note
        for note in reversed(book.notes.values())
        if note.livemode == livemode and invoice_id in (None, note.invoice)
    ]
    after = read.optional_string(parameters, "starting_after")
    ids = [note.id for note in notes]
    if after is not None and after not in ids:
        raise no_such("credit_note", after, livemode=livemode, exists_in_other=False)
    start = 0 if after is None else ids.index(after) + 1
    return {
        "object": "list",
        "data": [note_body(note) for note in notes[start : start + limit]],
        "has_more": start + limit < len(notes),
        "url": "/v1/credit_notes",
    }


def _items(parameters: JsonObject) -> list[JsonObject]:
    return read.listed(parameters, "refunds")


def _refund(item: JsonObject, position: int) -> tuple[str, str, int | None]:
    path = f"refunds[{position}]"
    if item.get("type", "refund") != "payment_record_refund":
        raise invalid("Only payment_record_refund is simulated.", param=f"{path}[type]")
    path = f"{path}[payment_record_refund]"
    named = read.group(item, "payment_record_refund", path)
    record = read.string(named, "payment_record", f"{path}[payment_record]")
    reference = read.string(named, "refund_group", f"{path}[refund_group]")
    return record, reference, read.optional_integer(item, "amount_refunded")


def _known(book: StripeBook, asked: tuple[str, str, int | None], livemode: bool) -> NotedRefund:
    record_id, reference, amount = asked
    record = book.record(record_id, livemode)
    for report in record.reports:
        if report.refund_reference == reference:
            if amount is not None and amount > report.amount:
                raise refused("amount_refunded is greater than the refund's amount.")
            return NotedRefund(record_id, reference, report.amount if amount is None else amount)
    raise refused(
        f"No such refund group: '{reference}'",
        param="refunds[0][payment_record_refund][refund_group]",
        code="resource_missing",
    )
