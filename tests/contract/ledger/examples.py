"""Refunds and payments to write into a ledger, each under ids of its own."""

from dataclasses import replace
from itertools import count
from typing import Any
from uuid import uuid4

from refund_bridge.domain.money import Money
from refund_bridge.domain.payment import Payment, PaymentKey
from refund_bridge.domain.refund import Entry, Failure, Refund, refund_id_of
from refund_bridge.domain.refund_request import ReferenceType, RefundRequest, Source
from refund_bridge.domain.report import CreditNote, ProviderAnswer, Report, ReportParameters
from refund_bridge.domain.state_machine import CreditNoteState, Event, ReportState, State
from refund_bridge.domain.transitions import Why, born
from refund_bridge.ports.ledger import Commit, Ledger, RefundWrite

# 2024-02-29T23:59:59.999Z
NOW = 1_709_251_199_999

_PROCESS = uuid4().hex
_NUMBERS = count(1)


def unique(prefix: str) -> str:
    """A name that no other test, process or worker uses: they may share a table."""
    return f"{prefix}_{_PROCESS}_{next(_NUMBERS)}"


def a_payment(**facts: Any) -> Payment:
    key = PaymentKey("hitpay", unique("charge"))
    plain = Payment(key=key, payment_record=unique("pr"), currency="sgd", captured=9999)
    return replace(plain, **facts)


def a_request(**facts: Any) -> RefundRequest:
    plain = RefundRequest(
        reference_type=ReferenceType.PAYMENT_RECORD,
        reference_id="pr_1",
        amount=2500,
        currency="sgd",
        reason="requested_by_customer",
        metadata={"order": "1007", "empty": ""},
    )
    return replace(plain, **facts)


def a_refund(event: Event = Event.ACCEPT_INSTANT, **facts: Any) -> Refund:
    plain = Refund(
        id=refund_id_of(unique("key"), "test"),
        request=a_request(),
        source=Source.API,
        state=State.REQUESTED,
        processor="hitpay",
        processor_payment_id=unique("charge"),
        payment_record=unique("pr"),
        payment_intent=None,
        invoice=None,
        amount=2500,
        currency="sgd",
        created_at_ms=NOW,
        updated_at_ms=NOW,
    )
    return born(replace(plain, **facts), event, why("asked"))


def a_refund_of(payment: Payment, **facts: Any) -> Refund:
    return a_refund(processor_payment_id=payment.key.charge_id, **facts)


def a_full_refund() -> Refund:
    """One with every fact that a refund can have."""
    return a_refund(
        Event.IMPORT_PENDING,
        payment_intent=unique("pi"),
        invoice=unique("in"),
        attempt=3,
        lease_until_ms=NOW + 60_000,
        started_at_ms=NOW + 1,
        snapshot=("hp_1", "hp_2"),
        processor_refund_id=unique("hp"),
        answers=(ProviderAnswer(attempt=3, at_ms=NOW + 4, said="HitPay answered 502"),),
        fee=Money(65, "usd"),
        failure=Failure(code="refund_rejected", message="Refund window exceeded", status=422),
        report=Report(
            state=ReportState.DUE,
            parameters=ReportParameters(
                payment_record="pr_1",
                amount=2500,
                currency="sgd",
                refund_reference="hp_3",
                initiated_at_s=NOW // 1000,
                refunded_at_s=NOW // 1000 + 1,
            ),
            epoch=1,
            attempts=2,
            lease_until_ms=NOW + 5,
            reported_at_ms=NOW + 6,
            last_error="timeout",
            last_ring_ms=NOW + 7,
            answers=(ProviderAnswer(attempt=1, at_ms=NOW + 4, said="Stripe answered 500"),),
        ),
        credit_note=CreditNote(
            state=CreditNoteState.DUE,
            id="cn_1",
            epoch=1,
            attempts=2,
            last_error="timeout",
            issued_at_ms=NOW + 8,
            answers=(ProviderAnswer(attempt=2, at_ms=NOW + 7, said="Stripe answered 500"),),
        ),
        next_check_ms=NOW + 300_000,
    )


def due_refund(**facts: Any) -> Refund:
    """One whose report is due and was never tried."""
    return a_refund(Event.IMPORT_SUCCEEDED, report=Report(state=ReportState.DUE), **facts)


def why(cause: str, **evidence: Any) -> Why:
    return Why(at_ms=NOW, cause=cause, actor="test", evidence=evidence)


def a_line(refund: Refund, **evidence: Any) -> Entry:
    """The next line of a refund's history."""
    return Entry(
        seq=len(refund.history) + 1,
        at_ms=NOW,
        before=refund.state,
        after=refund.state,
        cause="noted",
        actor="test",
        evidence=evidence,
    )


def stored(refund: Refund, revision: int) -> Refund:
    """The refund as the ledger gives it back."""
    return replace(refund, revision=revision)


def write(ledger: Ledger, before: Refund | None, after: Refund) -> None:
    ledger.commit(Commit(refunds=(RefundWrite(before, after),)))


def keep(ledger: Ledger, refund: Refund) -> Refund:
    """Store a new refund, and give it back as stored."""
    write(ledger, None, refund)
    kept = ledger.refund(refund.id)
    assert kept is not None
    return kept
