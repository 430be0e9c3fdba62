"""What may happen to one instruction that is sent to the processor in memory."""

from dataclasses import dataclass
from enum import StrEnum

from refund_bridge.domain.charge import ProcessorRefundStatus
from refund_bridge.domain.instruction import Aborted, CredentialRefused, Outcome, Rejected, Unknown


@dataclass(frozen=True, slots=True)
class Executed:
    """The instruction arrives, the books execute or refuse it, and the answer comes back."""


@dataclass(frozen=True, slots=True)
class NotSent:
    """The connection fails before anything is sent."""


@dataclass(frozen=True, slots=True)
class RequestLost:
    """The instruction does not arrive, and no answer comes."""


@dataclass(frozen=True, slots=True)
class ReplyLost:
    """The instruction is executed, but its answer is lost, is a 5xx, or cannot be read."""


@dataclass(frozen=True, slots=True)
class ExecutedLate:
    """No answer comes, and it is executed ``after_ms`` later by the monotonic clock."""

    after_ms: int


@dataclass(frozen=True, slots=True)
class Answered:
    """The instruction is not executed, and this status is answered, with ``message``.

    The message has the form of the processor's errors. ``replaced``: the processor refused the
    credential, and a newer one has been read since.
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
    """How look-ups show a refund after its first change: as it is, or so that it tells nothing."""

    AS_IT_IS = "as_it_is"
    UNDER_ANOTHER_WORD = "under_another_word"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Conduct:
    """An executed refund's status: ``first``, and ``after_ms`` later ``last``, if given.

    Attributes:
        more: further statuses, each with its time in milliseconds after the change before.
        look: how look-ups show it after its first change.
        amount: the amount that it really moved, minor units, known from its first change on, if it
            is not the whole amount.
    """

    first: ProcessorRefundStatus = ProcessorRefundStatus.SUCCEEDED
    last: ProcessorRefundStatus | None = None
    after_ms: int = 0
    more: tuple[tuple[int, ProcessorRefundStatus], ...] = ()
    look: Look = Look.AS_IT_IS
    amount: int | None = None
