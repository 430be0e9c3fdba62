"""Where the report to Stripe stands, and the credit note; what providers answered. Pure."""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from refund_bridge.domain.state_machine import CreditNoteState, ReportState

# The cause of an import that is older than this service: others may have told Stripe of it.
BEFORE_ADOPTION: Final = "before_adoption"
# So many of a provider's answers are kept, the newest; each no longer than this.
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
