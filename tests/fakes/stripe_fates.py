"""What may happen to one report that is sent to Stripe in memory."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Arrives:
    """The report arrives, is booked or refused, and the answer comes back."""


@dataclass(frozen=True, slots=True)
class ReportLost:
    """The report does not arrive, and no answer comes."""


@dataclass(frozen=True, slots=True)
class AnswerLost:
    """The report is booked or refused, but its answer is lost; a retry with the key gets it."""


@dataclass(frozen=True, slots=True)
class BookedLate:
    """No answer comes, and the report arrives ``after_ms`` later by the monotonic clock."""

    after_ms: int


@dataclass(frozen=True, slots=True)
class Fails:
    """Stripe answers 500 and stores that under the key; ``booked``: it booked the report anyway."""

    booked: bool = False


@dataclass(frozen=True, slots=True)
class TurnedAway:
    """A 429 or a 409 (``lock_timeout``): nothing is booked, and nothing is stored under the key."""

    retry_after_s: int | None = None


@dataclass(frozen=True, slots=True)
class NotAllowed:
    """A 401, or the 403 of a restricted key: nothing is booked, since the API key is wrong."""


Fate = Arrives | ReportLost | AnswerLost | BookedLate | Fails | TurnedAway | NotAllowed
