"""What may happen to one instruction that is handed to the processor in memory."""

from dataclasses import dataclass
from enum import StrEnum

from refund_bridge.domain.charge import ProcessorRefundStatus
from refund_bridge.domain.instruction import Aborted, CredentialRefused, Outcome, Rejected, Unknown


@dataclass(frozen=True, slots=True)
class Executed:
    """It arrives, is executed or refused as the books say, and the answer comes back."""


@dataclass(frozen=True, slots=True)
class NotSent:
    """The connection fails before anything is sent."""


@dataclass(frozen=True, slots=True)
class RequestLost:
    """Nothing arrives, and no answer comes."""


@dataclass(frozen=True, slots=True)
class ReplyLost:
    """The instruction is executed, and its answer is lost, is a 5xx, or cannot be read."""


@dataclass(frozen=True, slots=True)
class ExecutedLate:
    """No answer comes, and it is executed ``after_ms`` later by the monotonic clock."""

    after_ms: int


@dataclass(frozen=True, slots=True)
class Answered:
    """Nothing is executed, and this status comes back; with ``message`` in the processor's form.

    ``replaced``: the credential is what is refused, and another has been read since.
    """

    status: int
    message: str | None = None
    retry_after_s: int | None = None
    replaced: bool = False

    @property
    def meaning(self) -> Outcome:
        """The outcome by the table of docs/architecture.md."""
        if self.replaced or self.status == 401:
            return CredentialRefused(f"answered {self.status}", replaced=self.replaced)
        if self.status in (405, 429):
            return Aborted(f"answered {self.status}", self.retry_after_s)
        if self.status in (400, 402, 403, 404, 422) and self.message:
            return Rejected(self.message, self.status)
        if self.status in (403, 404):
            return Aborted(f"answered {self.status}")
        return Unknown(f"answered {self.status}")


Fate = Executed | NotSent | RequestLost | ReplyLost | ExecutedLate | Answered


class Look(StrEnum):
    """How look-ups show a refund once it has changed: as it is, or in a way that tells nothing."""

    AS_IT_IS = "as_it_is"
    UNDER_ANOTHER_WORD = "under_another_word"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Conduct:
    """What an executed refund looks like: ``first``, and ``after_ms`` later ``last``, if given.

    Attributes:
        more: what it becomes after that, each so many milliseconds after the change before.
        look: how look-ups show it from its first change on.
        amount: what it has really moved, minor units, from its first change on, if not all of it.
    """

    first: ProcessorRefundStatus = ProcessorRefundStatus.SUCCEEDED
    last: ProcessorRefundStatus | None = None
    after_ms: int = 0
    more: tuple[tuple[int, ProcessorRefundStatus], ...] = ()
    look: Look = Look.AS_IT_IS
    amount: int | None = None
