"""Invariants of single items of the ledger, over the item before and after a write."""

from dataclasses import replace
from typing import Final

from refund_bridge.domain.charge import ProcessorRefundStatus
from refund_bridge.domain.payment import Payment
from refund_bridge.domain.refund import STRIPE, Refund
from refund_bridge.domain.refund_request import RefundRequest, Source
from refund_bridge.domain.report import ReportCause
from refund_bridge.domain.state_machine import FREED, UNBOUND, ReportState, State
from tests.fakes.processor_books import FakeRefund
from tests.fakes.stripe_records import FakeRecord, StripeRecords
from tests.simulation.options import CAPTURED
from tests.simulation.violation import require

# How a Payment Record names a processor's payment.
_NAMES: Final = ("_payment_id", "_charge_id")
_FIXED: Final = (
    "id",
    "source",
    "processor",
    "processor_payment_id",
    "payment_intent",
    "amount",
    "currency",
    "created_at_ms",
)


def facts_never_change(old: Refund, new: Refund) -> None:
    """Invariant 4: the request, the bound processor refund and the report's data never change."""
    for fact in _FIXED:
        require(getattr(old, fact) == getattr(new, fact), "facts_never_change", (fact, old, new))
    if old.request is not new.request:
        asked = _but_for_whom(old.request) == _but_for_whom(new.request)
        require(asked, "facts_never_change", ("request", old, new))
    linked = old.payment_record in (None, new.payment_record)
    require(linked, "facts_never_change", ("payment_record", old, new))
    let_go = old.state is State.REVIEW and new.state is State.FAILED
    if old.processor_refund_id is not None and not (let_go and new.processor_refund_id is None):
        same = old.processor_refund_id == new.processor_refund_id
        require(same, "a_binding_never_changes", (old, new))
    if old.report.parameters is not None:
        same = old.report.parameters == new.report.parameters
        require(same, "report_parameters_are_frozen", (old, new))
    require(new.attempt >= old.attempt, "attempts_only_grow", (old, new))
    require(new.revision == old.revision + 1, "a_write_replaces_what_it_read", (old, new))


def customers_are_kept_while_they_may_be_needed(new: Refund) -> None:
    """The customer is stored as long as an instruction may need it, and no longer."""
    is_kept, request = bool(new.request.customer), new.request
    may_be_sent = new.state in (State.REQUESTED, State.SUBMITTING, State.UNKNOWN)
    fits = is_kept == (request.is_unlinked and may_be_sent)
    require(fits, "customers_are_kept_while_they_may_be_needed", new)


def _but_for_whom(request: RefundRequest) -> RefundRequest:
    return replace(request, customer={}, forgotten={})


def success_owes_its_report_in_one_write(old: Refund | None, new: Refund) -> None:
    """Invariant 13; refunds older than our first sight are reported, or left to ``reconcile``."""
    entered = new.state is State.SUCCEEDED and (old is None or old.state is not State.SUCCEEDED)
    if not entered or new.history[0].cause == "before_adoption":
        return
    if new.processor == STRIPE:
        own = (new.report.state, new.report.cause)
        nothing = own == (ReportState.NOT_DUE, ReportCause.STRIPES_OWN)
        require(nothing, "of_stripes_own_nothing_is_owed", new)
        return
    if new.request.is_unlinked and new.payment_record is None:
        unreported = new.report.state is ReportState.NOT_DUE
        require(unreported, "without_a_record_an_unlinked_refund_is_not_reported", new)
        return
    if new.payment_record is None:
        not_linked = new.report.cause is ReportCause.NOT_LINKED
        failed = new.report.state is ReportState.FAILED and not_linked
        require(failed, "success_without_a_record_has_failed_to_be_reported", new)
        return
    owes = new.report.state is ReportState.DUE and new.report.parameters is not None
    require(owes and new.next_check_ms is not None, "success_owes_its_report_in_one_write", new)


def no_processor_refund_behind_a_failure(
    refund: Refund, processor_refunds: list[FakeRefund]
) -> None:
    """Invariant 6, for money that has moved by now; ``MoneyWatch`` watches what moves later.

    If the processor has called a refund failed, the product may believe that.
    """
    never_failed = [
        one for one in processor_refunds if ProcessorRefundStatus.FAILED not in one.been
    ]
    require(not never_failed, "failed_means_nothing_moved", (refund, never_failed))


def a_door_is_never_guessed(new: Refund, record: FakeRecord | None, *, is_linked: bool) -> None:
    """A refund goes to the processor that its caller names, that is the only one the record names,
    or to which an earlier refund has linked the record.

    ``is_linked``: whether the ledger already knew which of the payments the record books.
    """
    if new.source is Source.PROCESSOR:
        return
    asked = new.request.processor
    require(asked in (None, new.processor), "a_refund_goes_where_it_was_told", new)
    if new.processor == STRIPE:
        require(record is None, "nothing_with_a_record_is_refunded_at_stripe", (new, record))
        return
    if asked is None and not new.request.is_unlinked:
        named = [] if record is None else [key for key in record.metadata if key.endswith(_NAMES)]
        require(is_linked or len(named) == 1, "a_door_is_never_guessed", (new, record))


def report_follows_success(refund: Refund) -> None:
    """Invariant 7: only a final success has a report that is due, made or failed.

    An unlinked refund is reported only to the record that its caller named, if any.
    """
    if refund.report.state is not ReportState.NOT_DUE:
        require(refund.state is State.SUCCEEDED, "only_successes_are_reported", refund)
        require(refund.processor != STRIPE, "of_stripes_own_nothing_is_reported", refund)
    if refund.request.is_unlinked:
        told = refund.payment_record == refund.request.report_to
        unowed = refund.payment_record or refund.report.state is ReportState.NOT_DUE
        named = "without_a_record_an_unlinked_refund_is_not_reported"
        require(bool(told and unowed), named, refund)


def what_is_open_is_due(refund: Refund) -> None:
    """Invariant 17: settling finds everything that is not at its end, from the table alone."""
    is_open = refund.state not in (*FREED, State.SUCCEEDED)
    if is_open or refund.report.state is ReportState.DUE:
        require(refund.next_check_ms is not None, "what_is_open_is_due", refund)


def reported_is_at_stripe(refund: Refund, stripe: StripeRecords) -> None:
    """If a report counts as made, Stripe has it under its reference, with its amount.

    Not checked here: reports made by others under references of theirs, as the sums or a person
    say. The sums of the true books show at the end whether that is true.
    """
    certain = refund.report.cause in (None, ReportCause.BY_US, ReportCause.BY_REFERENCE)
    if refund.report.state is not ReportState.REPORTED or not certain:
        return
    booked = [
        item.parameters.amount
        for item in stripe.reports
        if item.parameters.refund_reference == refund.processor_refund_id
    ]
    record = stripe.records[refund.payment_record or ""]
    # Stripe's record was full before, so Stripe did not refuse because of the reference.
    full = record.guaranteed - stripe.refunded(record.id) < refund.amount
    full = full and refund.report.cause is ReportCause.BY_REFERENCE
    told = booked == [refund.amount] or full
    require(told, "reported_is_at_stripe", (booked, refund))


def only_legal_payment_changes(old: Payment | None, new: Payment) -> None:
    """The true captured amount does not change once anything is refunded, nor a known record."""
    if old is None:
        return
    same = (old.key, old.currency) == (new.key, new.currency)
    same = same and (old.is_unused or new.captured in (old.captured, CAPTURED))
    let_go = new.payment_record is None and new.is_unused
    linked = old.payment_record in (None, new.payment_record) or let_go
    require(same and linked, "a_payments_facts_never_change", (old, new))


def payment_counts_its_refunds(payment: Payment, refunds: list[Refund]) -> None:
    """Invariants 10 and 12: every counter follows from the refunds; at most one is unbound."""
    unbound = [one.id for one in refunds if one.state in UNBOUND and not one.processor_refund_id]
    require(len(unbound) <= 1, "one_unbound_movement_per_payment", (payment, refunds))
    slot = unbound[0] if unbound else None
    due = _in(refunds, ReportState.DUE)
    bound = [
        one.amount
        for one in refunds
        if one.processor_refund_id is not None and one.state is not State.FAILED
        if not is_given_back(one)
    ]
    waiting = {one.id for one in refunds if one.state is State.REQUESTED}
    expected = {
        "held": sum(
            one.amount for one in refunds if one.state not in FREED and not is_given_back(one)
        ),
        "moved": sum(
            one.amount for one in refunds if one.state is State.SUCCEEDED and not is_given_back(one)
        ),
        "bound_amount": sum(bound),
        "report_due_count": len(due),
        "report_due_amount": sum(due),
        "report_failed_amount": sum(_in(refunds, ReportState.FAILED)),
        "booked": sum(_in(refunds, ReportState.REPORTED)),
        "slot": slot,
    }
    for name, value in expected.items():
        stored = getattr(payment, name)
        require(stored == value, "payment_counts_its_refunds", (name, stored, value, refunds))
    require(set(payment.waiting) == waiting, "payment_counts_its_refunds", (payment, waiting))


def is_given_back(refund: Refund) -> bool:
    """Whether Stripe took back a refund of its own: its amount may be refunded again."""
    return refund.processor == STRIPE and refund.late_failure_at_ms is not None


def _in(refunds: list[Refund], state: ReportState) -> list[int]:
    return [one.amount for one in refunds if one.report.state is state]
