"""A refund: the request as stored, its facts, its history, and how an event changes it.

Pure: standard library only, no clock, no randomness; times are Unix milliseconds given by the
caller. Every change goes through ``transition``, ``report_transition`` or
``credit_note_transition``, which consult the tables in ``state_machine.py`` and append to the
history.
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Final

from refund_bridge.domain.forgotten import digest_of, is_of
from refund_bridge.domain.money import Money
from refund_bridge.domain.state_machine import (
    FREED,
    PUBLIC_STATUS,
    CreditNoteState,
    ReportState,
    State,
)

SCHEMA_VERSION: Final = 1
# What stands for the payment of unlinked refunds begins so; no processor's own ids look like it.
UNLINKED: Final = "unlinked/"
# The processor of payments that Stripe took itself.
STRIPE: Final = "stripe"
# The cause of an import that is older than this service: others may have told Stripe of it.
BEFORE_ADOPTION: Final = "before_adoption"
# The cause of a line that binds a refund to what the processor lists, by elimination.
FOUND: Final = "found"
# The cause of a line that says that Stripe has booked what we told it.
STRIPE_ACCEPTED: Final = "stripe_accepted"
# The code of the failure of a scheduled refund that was taken back before it was sent.
WITHDRAWN: Final = "withdrawn"
CANCELED: Final = "canceled"
# All words for a refund that callers are told.
PUBLIC_STATUSES: Final = frozenset({*PUBLIC_STATUS.values(), CANCELED})
# The cause of a line that says that the processor took a success back, and what callers are told.
TAKEN_BACK: Final = "taken_back"
# Where a refund stands in the index of what is looked at next if a person alone has to act on it:
# the last millisecond of the year 9999, so that nothing works on it.
FOR_A_PERSON_MS: Final = 253_402_300_799_999
# So many of a provider's answers are kept, the newest; each no longer than this.
ANSWERS_MAX: Final = 10
ANSWER_LENGTH_MAX: Final = 300
# The cause of a line that stands before an instruction is handed over again, under the same key.
HANDED_OVER_AGAIN: Final = "handed_over_again"


# The members of a request that may say something about a customer, as far as callers write it.
FORGETTABLE: Final = ("customer", "metadata", "reason")


class ReferenceType(StrEnum):
    """How a caller may name a payment, or, for an unlinked refund, where its money goes."""

    PAYMENT_RECORD = "payment_record"
    PAYMENT_INTENT = "payment_intent"
    INVOICE = "invoice"
    CHARGE = "charge"
    PAYMENT_METHOD = "payment_method"


class PaymentMethodKind(StrEnum):
    """What a payment method is, as far as refunds differ by it."""

    CARD = "card"
    BANK_ACCOUNT = "bank_account"


class RefundType(StrEnum):
    """When a refund is executed: within the call, or in the background."""

    INSTANT = "instant"
    SCHEDULED = "scheduled"


class Source(StrEnum):
    """Who asked for the refund; ``processor`` is its own dashboard."""

    API = "api"
    EVENT = "event"
    PROCESSOR = "processor"


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundRequest:
    """What was asked, normalised, exactly as it is compared when the key comes again.

    ``amount`` is ``None`` where the caller left it out: absent is not the same request as given.

    Attributes:
        processor: the name of the processor that is to refund, where the payment leaves that open;
            an unlinked refund always names it.
        payment_method_type: of an unlinked refund: what the caller says that its method is.
        customer: of an unlinked refund: whose method it is, in the processor's own members; shown
            to nobody but the processor.
        report_to: of an unlinked refund: the Payment Record that it is reported to, if any.
        forgotten: digests of the members that are not kept any more, by their names.
        charge: Stripe's charge, where it was named beside its PaymentIntent.
    """

    reference_type: ReferenceType
    reference_id: str
    amount: int | None = None
    currency: str | None = None
    reason: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    refund_type: RefundType = RefundType.INSTANT
    processor: str | None = None
    payment_method_type: PaymentMethodKind | None = None
    customer: Mapping[str, str] = field(default_factory=dict, repr=False)
    report_to: str | None = None
    forgotten: Mapping[str, str] = field(default_factory=dict)
    charge: str | None = None

    def without(self, names: Sequence[str], salt: str) -> "RefundRequest":
        """The request with only digests of those of ``FORGETTABLE``; what says nothing stays."""
        said = [name for name in names if getattr(self, name)]
        digests = {name: digest_of(getattr(self, name), salt) for name in said}
        nothing: dict[str, Any] = {name: None if name == "reason" else {} for name in said}
        return replace(self, forgotten={**self.forgotten, **digests}, **nothing)

    def remembering(self, asked: "RefundRequest") -> "RefundRequest":
        """The request with what it has forgotten, as ``asked``, the same request, says it again."""
        again = {name: getattr(asked, name) for name in self.forgotten}
        return replace(self, forgotten={}, **again)

    def is_asked_by(self, asked: "RefundRequest") -> bool:
        """Whether ``asked``, which has forgotten nothing, is this very request."""
        if self.remembering(asked) != asked:
            return False
        return all(is_of(digest, getattr(asked, name)) for name, digest in self.forgotten.items())

    @property
    def is_unlinked(self) -> bool:
        """Whether the money goes to a payment method, and belongs to no payment."""
        return self.reference_type is ReferenceType.PAYMENT_METHOD


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why no money moved. ``code`` is ours or the processor's, ``message`` is its sentence.

    Attributes:
        status: the HTTP status of the processor's refusal.
        retry_after_s: the processor's wish, where it gave one.
        details: amounts that the processor named in its refusal, minor units.
    """

    code: str
    message: str
    status: int | None = None
    retry_after_s: int | None = None
    details: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportParameters:
    """What Stripe is told, frozen when the refund succeeded. Times are Unix *seconds*."""

    payment_record: str
    amount: int
    currency: str
    refund_reference: str
    initiated_at_s: int
    refunded_at_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderAnswer:
    """What came of really asking a provider, in its own words or in ours: that it gave none.

    Kept beside what we concluded: a conclusion such as "it failed too often and was not asked"
    does not tell what is wrong there.

    Attributes:
        attempt: of the instruction, the report or the credit note; of one attempt the last is kept.
        at_ms: when it came, Unix milliseconds.
        said: no secret and no customer's data.
    """

    attempt: int
    at_ms: int
    said: str


def with_answer(
    answers: tuple[ProviderAnswer, ...], answer: ProviderAnswer
) -> tuple[ProviderAnswer, ...]:
    """The answers with one more, in place of an earlier one of the same attempt."""
    others = (one for one in answers if one.attempt != answer.attempt)
    cut = replace(answer, said=answer.said[:ANSWER_LENGTH_MAX])
    return (*others, cut)[-ANSWERS_MAX:]


def with_last_answer(concluded: str, answers: tuple[ProviderAnswer, ...]) -> str:
    """A conclusion that was drawn without asking, with what was answered last, if anything was."""
    return f"{concluded}; the last answer: {answers[-1].said}" if answers else concluded


class ReportCause(StrEnum):
    """Why a report stands where it stands.

    Reported: ``by_us``; or others told Stripe, which is known ``by_reference`` (Stripe refused ours
    as taken), believed ``by_sums``, or ``told_by_person``.
    Failed: Stripe's answer stayed ``unclear``, it ``refused``, there is ``no_room`` left at Stripe,
    nobody can tell whether others told it (``cannot_tell``), or no Payment Record books the refund
    (``payment_not_linked``).
    Not due: a person ``waived`` it, it is older than this service (``before_adoption``), or Stripe
    took the payment and made the refund itself (``stripes_own``).
    """

    BY_US = "by_us"
    BY_REFERENCE = "by_reference"
    BY_SUMS = "by_sums"
    TOLD_BY_PERSON = "told_by_person"
    UNCLEAR = "unclear"
    REFUSED = "refused"
    NO_ROOM = "no_room"
    CANNOT_TELL = "cannot_tell"
    NOT_LINKED = "payment_not_linked"
    WAIVED = "waived"
    STRIPES_OWN = "stripes_own"
    BEFORE_ADOPTION = BEFORE_ADOPTION


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Where the report to Stripe stands.

    Attributes:
        cause: why it stands there; ``None`` while it is due, and in items of former releases.
        epoch: part of Stripe's idempotency key; a new epoch gets past an answer stored under the
            old key.
        attempts: how often Stripe was asked, over all epochs; counted before it is asked.
        forced: whether a person said that Stripe is owed it, whatever the sums say.
        lease_until_ms: until when one worker has this report to itself.
        last_ring_ms: when the doorbell was last rung for it; ``None``: no message is under way.
        rings: how often settling has rung again.
        waits: how often it was put off, since it could not be decided yet.
        answers: what Stripe answered to the attempts that it did not accept, oldest first.
    """

    state: ReportState = ReportState.NOT_DUE
    cause: ReportCause | None = None
    parameters: ReportParameters | None = None
    epoch: int = 0
    attempts: int = 0
    forced: bool = False
    lease_until_ms: int | None = None
    reported_at_ms: int | None = None
    last_error: str | None = None
    last_ring_ms: int | None = None
    rings: int = 0
    waits: int = 0
    answers: tuple[ProviderAnswer, ...] = ()

    @property
    def was_sent(self) -> bool:
        """Whether Stripe was ever asked, so that only its answer to the reference decides."""
        return self.attempts > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditNote:
    """Where the credit note on the refund's invoice stands.

    Attributes:
        id: Stripe's, once it is issued.
        epoch: part of Stripe's idempotency key, as in ``Report``.
        attempts: how many attempts at issuing it were begun.
        answers: as in ``Report``.
    """

    state: CreditNoteState = CreditNoteState.NOT_DUE
    id: str | None = None
    epoch: int = 0
    attempts: int = 0
    last_error: str | None = None
    issued_at_ms: int | None = None
    answers: tuple[ProviderAnswer, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of the append-only history. ``evidence`` holds ids, amounts, statuses and times."""

    seq: int
    at_ms: int
    before: str | None
    after: str
    cause: str
    actor: str
    evidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refund:
    """A refund as the ledger keeps it.

    Attributes:
        id: derived from the idempotency key alone (``refund_id_of``).
        idempotency_key: the caller's own name of it, from which ``id`` is derived; shown to those
            who may read, in no event and no log. ``None`` for what others made, and for refunds
            that a former release stored.
        amount: minor units; fixed when first reserved and never changed.
        attempt: counts the times that money was asked to move; fences late writers.
        token: names the call that wrote the current attempt, so that it knows its own write.
        lease_until_ms: until when only the attempt's own call may write its outcome.
        started_at_ms: when the current attempt was written, before the processor was asked.
        snapshot: processor refund ids that were on the charge, unclaimed, when it was read before
            sending; ``None`` if the charge was not read.
        processor_refund_id: the processor refund this refund is bound to, if any.
        processor_payment_id: the processor's id of the payment; of an unlinked refund, which has
            none, the id of what stands for it in the ledger.
        looks: how often settling looked since the current state was entered; sets its backoff.
        look_ups: how many of these got a usable answer; the hold counts these only.
        last_look: what the last one came to.
        answers: what the processor answered to look-ups that told nothing, oldest first.
        looked_at_ms: when the processor was last asked about it because somebody wanted to know.
        late_failure_at_ms: when it was seen that the processor took a success back.
        handled_at_ms: when a person marked that as handled; ``None`` until then.
        contradicts: the refund, failed without evidence, that this imported processor refund may
            be.
        account: what its instruction was sent to, and under which form of key, as a fingerprint
            (``ProcessorSettings.account``); ``None``: not sent, or by a former release.
        fee: what the processor takes for it, minor units of a currency of its own, as it said when
            the refund was bound or moved on last; ``None`` if it has not said.
        refused_since_ms: since when a scheduled refund meets the same refusal at its every turn.
        next_check_ms: when settling looks at the refund again; ``None`` when nothing is owed.
        revision: counts the writes of this item; every write names the one it replaces.
    """

    id: str
    request: RefundRequest
    source: Source
    state: State
    processor: str
    processor_payment_id: str
    payment_record: str | None
    payment_intent: str | None
    invoice: str | None
    amount: int
    currency: str
    created_at_ms: int
    updated_at_ms: int
    idempotency_key: str | None = field(default=None, repr=False)
    attempt: int = 0
    token: str = ""
    lease_until_ms: int | None = None
    started_at_ms: int | None = None
    snapshot: tuple[str, ...] | None = None
    processor_refund_id: str | None = None
    looks: int = 0
    look_ups: int = 0
    last_look: str | None = None
    answers: tuple[ProviderAnswer, ...] = ()
    looked_at_ms: int | None = None
    late_failure_at_ms: int | None = None
    handled_at_ms: int | None = None
    contradicts: str | None = None
    account: str | None = None
    fee: Money | None = None
    refused_since_ms: int | None = None
    failure: Failure | None = None
    report: Report = field(default_factory=Report)
    credit_note: CreditNote = field(default_factory=CreditNote)
    next_check_ms: int | None = None
    history: tuple[Entry, ...] = ()
    revision: int = 0
    schema_version: int = SCHEMA_VERSION

    @property
    def is_before_adoption(self) -> bool:
        """Whether it is older than this service, and nobody knows whether Stripe was told of it."""
        is_old = bool(self.history) and self.history[0].cause == BEFORE_ADOPTION
        undecided = self.report.cause in (None, ReportCause.BEFORE_ADOPTION)
        # What a person said that Stripe is owed stays owed, whatever became of it since.
        undecided &= not any(entry.after.startswith("report:") for entry in self.history)
        has_moved = self.state is State.SUCCEEDED
        return is_old and has_moved and undecided and self.report.state is ReportState.NOT_DUE

    @property
    def is_ours(self) -> bool:
        """Whether this service was asked for it; everything else others made."""
        return self.source is not Source.PROCESSOR

    @property
    def is_stripes_own(self) -> bool:
        """Whether Stripe itself took the payment, so that there is nothing to tell it."""
        return self.processor == STRIPE

    @property
    def is_given_back(self) -> bool:
        """Whether the processor took the money back, and the amount may be refunded again.

        Only where nobody was told of the success: Stripe's books take back what it takes back.
        """
        return self.is_stripes_own and self.late_failure_at_ms is not None

    @property
    def was_found(self) -> bool:
        """Whether it was recognised among what the processor lists, rather than answered for.

        Where the processor shows no instruction, it may be a refund that somebody else made
        meanwhile.
        """
        return any(entry.cause == FOUND for entry in self.history)

    @property
    def public_status(self) -> str:
        """What callers are told of its state, one of ``PUBLIC_STATUSES``."""
        if self.failure is not None and self.failure.code == WITHDRAWN:
            return CANCELED
        if self.late_failure_at_ms is not None:
            return PUBLIC_STATUS[State.FAILED]
        return PUBLIC_STATUS[self.state]

    @property
    def awaits_handling(self) -> bool:
        """Whether the processor took it back, and no person has marked that as handled."""
        return self.late_failure_at_ms is not None and self.handled_at_ms is None

    @property
    def listed_due_ms(self) -> int | None:
        """Where it stands in the index of what is looked at next; ``None``: not there."""
        if self.next_check_ms is None and self.awaits_handling:
            return FOR_A_PERSON_MS
        return self.next_check_ms

    @property
    def succeeded_at_ms(self) -> int | None:
        """When it became known that the money moved, Unix milliseconds."""
        return next((e.at_ms for e in self.history if e.after == State.SUCCEEDED), None)

    @property
    def entered_at_ms(self) -> int:
        """Since when it has been in its state, Unix milliseconds."""
        moves = (e.at_ms for e in reversed(self.history) if e.after == self.state != e.before)
        return next(moves, self.created_at_ms)

    @property
    def report_due_at_ms(self) -> int | None:
        """Since when its report has been due, or was due the last time, Unix milliseconds."""
        due = f"report:{ReportState.DUE}"
        return next((e.at_ms for e in reversed(self.history) if e.after == due), None)

    @property
    def repeats(self) -> int:
        """How often its instruction was handed over again under the same key."""
        return sum(entry.cause == HANDED_OVER_AGAIN for entry in self.history)

    @property
    def last_sent_at_ms(self) -> int:
        """When its instruction was last handed over, or about to be, Unix milliseconds."""
        again = (e.at_ms for e in self.history if e.cause == HANDED_OVER_AGAIN)
        return max((self.started_at_ms or self.created_at_ms, *again))

    @property
    def refunded_payment(self) -> str | None:
        """The processor's id of the payment that it refunds; ``None`` for an unlinked refund."""
        has_none = self.request.is_unlinked or self.processor_payment_id.startswith(UNLINKED)
        return None if has_none else self.processor_payment_id

    @property
    def holds_headroom(self) -> bool:
        """Whether the amount counts against what may still be refunded."""
        return self.state not in FREED and not self.is_given_back


def refund_id_of(idempotency_key: str, stage: str) -> str:
    """The id of the refund that ``idempotency_key`` names in ``stage``: one key, one refund.

    The caller's API key and channel are left out on purpose: a retry through another channel or
    with a rotated key must meet the same refund.
    """
    digest = hashlib.sha256(f"refund-bridge\0{stage}\0{idempotency_key}".encode()).digest()
    return "rfd_" + base64.b32encode(digest[:20]).decode("ascii").lower()


def imported_refund_id(processor: str, processor_refund_id: str, stage: str) -> str:
    """The id under which a refund made in the processor's own dashboard is kept."""
    # A caller's key is at most 255 printable characters, so it never meets this namespace.
    return refund_id_of(f"\0processor\0{processor}\0{processor_refund_id}", stage)
