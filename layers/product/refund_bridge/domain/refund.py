"""A refund: its facts, its history, and what follows from them.

Pure: standard library only, no clock, no randomness; the caller gives all times, in Unix
milliseconds. ``transitions.py`` makes every change.
"""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from refund_bridge.domain.money import Money
from refund_bridge.domain.refund_request import RefundRequest, Source
from refund_bridge.domain.report import (
    BEFORE_ADOPTION,
    CreditNote,
    ProviderAnswer,
    Report,
    ReportCause,
)
from refund_bridge.domain.state_machine import FREED, PUBLIC_STATUS, ReportState, State

SCHEMA_VERSION: Final = 1
# Prefix of the charge id that the ledger gives to unlinked refunds; no processor's ids begin so.
UNLINKED: Final = "unlinked/"
# The processor of payments that Stripe took itself.
STRIPE: Final = "stripe"
# The cause of a history entry: the refund was bound to a listed processor refund by elimination.
FOUND: Final = "found"
# The cause of a history entry: Stripe has booked what we told it.
STRIPE_ACCEPTED: Final = "stripe_accepted"
# The failure code of a scheduled refund that was withdrawn before it was sent.
WITHDRAWN: Final = "withdrawn"
CANCELED: Final = "canceled"
# All words for a refund's status that callers see.
PUBLIC_STATUSES: Final = frozenset({*PUBLIC_STATUS.values(), CANCELED})
# The cause of a history entry, and a word that callers see: the processor took a success back.
TAKEN_BACK: Final = "taken_back"
# The time at which a refund that only a person can act on stands in the index of what is due: the
# last millisecond of the year 9999, so that settling never takes it.
FOR_A_PERSON_MS: Final = 253_402_300_799_999
# The cause of the history entry before an instruction is sent again under the same key.
HANDED_OVER_AGAIN: Final = "handed_over_again"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why no money moved. ``code`` and ``message`` are the processor's or ours.

    Attributes:
        status: the HTTP status of the processor's refusal.
        retry_after_s: how long the processor asked us to wait, if it did.
        details: amounts that the processor named in its refusal, minor units.
    """

    code: str
    message: str
    status: int | None = None
    retry_after_s: int | None = None
    details: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry of the append-only history. ``evidence`` has ids, amounts, statuses and times."""

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
        idempotency_key: the caller's own name of the refund, from which ``id`` is derived; shown to
            callers who may read refunds, never in an event or a log. ``None`` for external refunds,
            and for refunds that a former release stored.
        amount: minor units; fixed when first reserved and never changed.
        attempt: counts the attempts to move money; an answer counts only for its own attempt.
        token: identifies the call that wrote the current attempt, so that the call recognises its
            own write.
        lease_until_ms: until when only the attempt's own call may write its outcome.
        started_at_ms: when the current attempt was written, before the processor was asked.
        snapshot: processor refund ids that were on the charge, unclaimed, when it was read before
            sending; ``None`` if the charge was not read.
        processor_refund_id: the processor refund this refund is bound to, if any.
        processor_payment_id: the processor's id of the payment; for an unlinked refund without a
            payment, the charge id that the ledger gave it.
        looks: how many checks settling has made since the current state was entered; sets its
            backoff.
        look_ups: how many of these checks were conclusive; only these count for the late-arrival
            window.
        last_look: the result of the last check.
        answers: what the processor answered to checks that told nothing, oldest first.
        looked_at_ms: when the processor was last asked about the refund because a caller wanted to
            know.
        late_failure_at_ms: when it was seen that the processor took a success back.
        handled_at_ms: when a person marked that as handled; ``None`` until then.
        contradicts: the id of a refund that failed without evidence; this imported processor refund
            may be that refund's.
        account: a fingerprint of the account that the instruction was sent to and of the form of
            its key (``ProcessorSettings.account``); ``None``: not sent, or by a former release.
        fee: what the processor charges for the refund, minor units of a currency that it chooses,
            as it said when the refund was bound or last changed; ``None`` if it has not said.
        refused_since_ms: since when a scheduled refund is refused for the same reason at each turn.
        next_check_ms: when settling checks the refund again; ``None`` when nothing is due.
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
        """Whether it is older than this service, and it is not known whether Stripe was told."""
        is_old = bool(self.history) and self.history[0].cause == BEFORE_ADOPTION
        undecided = self.report.cause in (None, ReportCause.BEFORE_ADOPTION)
        # If a person said that Stripe must be told, that stays so, whatever happened since.
        undecided &= not any(entry.after.startswith("report:") for entry in self.history)
        has_moved = self.state is State.SUCCEEDED
        return is_old and has_moved and undecided and self.report.state is ReportState.NOT_DUE

    @property
    def is_ours(self) -> bool:
        """Whether a caller asked this service for it; if not, it is an external refund."""
        return self.source is not Source.PROCESSOR

    @property
    def is_stripes_own(self) -> bool:
        """Whether Stripe itself took the payment, so that there is nothing to report."""
        return self.processor == STRIPE

    @property
    def is_given_back(self) -> bool:
        """Whether the processor took the money back and the amount may be refunded again.

        Only for payments that Stripe itself took: its own books show that the refund was taken
        back. For others a report to Stripe cannot be undone, so the amount stays reserved.
        """
        return self.is_stripes_own and self.late_failure_at_ms is not None

    @property
    def was_found(self) -> bool:
        """Whether it was bound to a listed processor refund by elimination, not by an answer.

        Then the processor does not show whose instruction it was, so others may have made it.
        """
        return any(entry.cause == FOUND for entry in self.history)

    @property
    def public_status(self) -> str:
        """The status that callers see, one of ``PUBLIC_STATUSES``."""
        if self.failure is not None and self.failure.code == WITHDRAWN:
            return CANCELED
        if self.late_failure_at_ms is not None:
            return PUBLIC_STATUS[State.FAILED]
        return PUBLIC_STATUS[self.state]

    @property
    def awaits_handling(self) -> bool:
        """Whether the processor took it back and no person has marked that as handled yet."""
        return self.late_failure_at_ms is not None and self.handled_at_ms is None

    @property
    def listed_due_ms(self) -> int | None:
        """The time at which it stands in the index of what is due; ``None``: it is not in it."""
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
        """When its report last became due, Unix milliseconds."""
        due = f"report:{ReportState.DUE}"
        return next((e.at_ms for e in reversed(self.history) if e.after == due), None)

    @property
    def repeats(self) -> int:
        """How often its instruction was sent again under the same key."""
        return sum(entry.cause == HANDED_OVER_AGAIN for entry in self.history)

    @property
    def last_sent_at_ms(self) -> int:
        """When its instruction was last sent, or about to be sent, Unix milliseconds."""
        again = (e.at_ms for e in self.history if e.cause == HANDED_OVER_AGAIN)
        return max((self.started_at_ms or self.created_at_ms, *again))

    @property
    def refunded_payment(self) -> str | None:
        """The processor's id of the refunded payment; ``None`` for an unlinked refund."""
        has_none = self.request.is_unlinked or self.processor_payment_id.startswith(UNLINKED)
        return None if has_none else self.processor_payment_id

    @property
    def holds_headroom(self) -> bool:
        """Whether the refund's amount is reserved, so that it reduces the refundable balance."""
        return self.state not in FREED and not self.is_given_back


def refund_id_of(idempotency_key: str, stage: str) -> str:
    """The id of the refund that ``idempotency_key`` names in ``stage``: one key, one refund.

    The caller's API key and channel are left out on purpose: a retry through another channel or
    with a rotated API key must find the same refund.
    """
    digest = hashlib.sha256(f"refund-bridge\0{stage}\0{idempotency_key}".encode()).digest()
    return "rfd_" + base64.b32encode(digest[:20]).decode("ascii").lower()


def imported_refund_id(processor: str, processor_refund_id: str, stage: str) -> str:
    """The id under which an external refund is kept."""
    # A caller's key has only printable characters, so it never equals one that begins with NUL.
    return refund_id_of(f"\0processor\0{processor}\0{processor_refund_id}", stage)
