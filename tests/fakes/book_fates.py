"""What may happen to one report that is handed to the book in memory."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Arrives:
    """The report arrives, is booked or refused, and the answer comes back."""


@dataclass(frozen=True, slots=True)
class ReportLost:
    """Nothing arrives, and no answer comes."""


@dataclass(frozen=True, slots=True)
class AnswerLost:
    """The report is booked or refused, and its answer is lost; a replay of the key shows it."""


@dataclass(frozen=True, slots=True)
class BookedLate:
    """No answer comes, and the report arrives ``after_ms`` later by the monotonic clock."""

    after_ms: int


@dataclass(frozen=True, slots=True)
class Fails:
    """A 500 that Stripe keeps under the key: nothing booked, or ``booked`` all the same."""

    booked: bool = False


@dataclass(frozen=True, slots=True)
class TurnedAway:
    """A 429 or a 409 (``lock_timeout``): nothing done, nothing kept under the key."""

    retry_after_s: int | None = None


@dataclass(frozen=True, slots=True)
class NotAllowed:
    """A 401, or the 403 of a restricted key: nothing done, and it is the key that is wrong."""


Fate = Arrives | ReportLost | AnswerLost | BookedLate | Fails | TurnedAway | NotAllowed
