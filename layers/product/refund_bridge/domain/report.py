"""The state of the report to Stripe and of the credit note; what providers answered. Pure."""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from refund_bridge.domain.state_machine import CreditNoteState, ReportState

# The cause of an import older than this service: others may have told Stripe of that refund.
BEFORE_ADOPTION: Final = "before_adoption"
# How many of a provider's answers are kept (the newest), and how long each may be.
ANSWERS_MAX: Final = 10
ANSWER_LENGTH_MAX: Final = 300


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
    """What a provider answered when it was really asked; or, in our words, that it gave no answer.

    Kept beside our conclusion, because a conclusion such as "it failed too often and was not asked"
    does not tell what is wrong at the provider.

    Attributes:
        attempt: the attempt's number, of the instruction, the report or the credit note; only the
            last answer of each attempt is kept.
        at_ms: when the answer came, Unix milliseconds.
        said: the answer's text; no secret and no customer's data.
    """

    attempt: int
    at_ms: int
    said: str


def with_answer(
    answers: tuple[ProviderAnswer, ...], answer: ProviderAnswer
) -> tuple[ProviderAnswer, ...]:
    """The answers with one more, which replaces an earlier one of the same attempt."""
    others = (one for one in answers if one.attempt != answer.attempt)
    cut = replace(answer, said=answer.said[:ANSWER_LENGTH_MAX])
    return (*others, cut)[-ANSWERS_MAX:]


def with_last_answer(concluded: str, answers: tuple[ProviderAnswer, ...]) -> str:
    """A conclusion drawn without asking the provider, followed by its last answer, if any."""
    return f"{concluded}; the last answer: {answers[-1].said}" if answers else concluded


class ReportCause(StrEnum):
    """Why a report is in its state.

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
    """The state of a refund's report to Stripe.

    Attributes:
        cause: why it is in its state; ``None`` while it is due, and in items of former releases.
        epoch: part of Stripe's idempotency key; with a new epoch Stripe does not repeat the answer
            that it stored under the old key.
        attempts: how often Stripe was asked, over all epochs; counted before Stripe is asked.
        forced: whether a person decided that Stripe must be told, whatever the sums say.
        lease_until_ms: until when only one worker may work on this report.
        last_ring_ms: when the doorbell was last rung for it; ``None``: no message is under way.
        rings: how often settling has rung again.
        waits: how often it was put off, because it could not be decided yet.
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
    """The state of the credit note on the refund's invoice.

    Attributes:
        id: Stripe's id of the note, once it is issued.
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
