"""What was looked at a moment ago is not looked at again: whoever asks is told what came of it.

For every look at Stripe and a processor that changes nothing and that a caller can ask for as often
as it likes: a webhook that is sent again, a payment that the ledger has not met, a Payment Record
that nobody has. Of all that ask at once one looks; the others wait for what it finds. A refund has
its own moment in the ledger (``SettleRefund.look_now``), of the same length.

What asks for money to be sent is never answered from here.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from refund_bridge.domain.errors import (
    CurrencyMismatchError,
    InvalidRequestError,
    PaymentLinkConflictError,
    PaymentNotFoundError,
    PaymentNotLinkedError,
    PaymentNotRefundableError,
    RateLimitedError,
    RefundBridgeError,
)
from refund_bridge.domain.payment import Payment, PaymentKey
from refund_bridge.ports.runtime import Clock, Deadline

# Nobody sees a change later than this, and nobody makes the providers be asked more often.
LOOK_AGAIN_AFTER_MS: Final = 10_000
# Soon at first, then ever less often: many may wait for one.
PAUSE_MS: Final = 250
PAUSE_MS_MAX: Final = 2_000
BUSY_RETRY_AFTER_S: Final = 2
# What a look may end with that is as good an answer a moment later. A provider that gives none is
# not among them.
REMEMBERED: Final = (
    CurrencyMismatchError,
    InvalidRequestError,
    PaymentLinkConflictError,
    PaymentNotFoundError,
    PaymentNotLinkedError,
    PaymentNotRefundableError,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What a look came to: a word, a payment or a refusal; nothing, while somebody is at it."""

    word: str | None = None
    payment: Payment | None = None
    refused: RefundBridgeError | None = None

    @property
    def is_over(self) -> bool:
        """Whether it came to anything yet."""
        return self != LOOKING


LOOKING: Final = Looked()


class Looks(Protocol):
    """Remembers looks for a while, a bounded number of them.

    Others may push one out, and it is made again then. Each method may raise
    ``LedgerUnavailableError``.
    """

    def take(self, what: str, *, now_ms: int, until_ms: int) -> Looked | None:
        """Take this look until ``until_ms``, durably, unless somebody has it already.

        ``None``: the caller has it now. Otherwise what it came to, ``LOOKING`` if that is not told
        yet. What is remembered for longer than from ``now_ms`` to ``until_ms`` counts for nothing:
        that is another worker's wrong clock.
        """

    def keep(self, what: str, looked: Looked, *, until_ms: int) -> None:
        """Tell what it came to, until ``until_ms``; on return that is durable."""

    def drop(self, what: str) -> None:
        """Forget it, so that the next one who asks looks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LookOnce:
    """Looks, unless somebody has just looked.

    Attributes:
        pause: lets so many seconds pass.
    """

    looks: Looks
    clock: Clock
    pause: Callable[[float], None]

    def __call__(self, what: str, look: Callable[[], Looked], deadline: Deadline) -> Looked:
        """What ``look`` comes to, or came to less than ``LOOK_AGAIN_AFTER_MS`` ago.

        Raises:
            RateLimitedError: another call is still looking at the end of ``deadline``.
            RefundBridgeError: as ``look``, now or a moment ago.
            LedgerUnavailableError: the ledger gave no answer.
        """
        pause_ms = PAUSE_MS
        while True:
            now_ms = self.clock.now_ms()
            found = self.looks.take(what, now_ms=now_ms, until_ms=now_ms + LOOK_AGAIN_AFTER_MS)
            if found is None:
                return self._look(what, look)
            if found.refused is not None:
                raise found.refused
            if found.is_over:
                return found
            if not deadline.remaining_ms():
                raise RateLimitedError(
                    "Another call is looking at it right now.", retry_after_s=BUSY_RETRY_AFTER_S
                )
            self.pause(min(pause_ms, deadline.remaining_ms()) / 1000)
            pause_ms = min(2 * pause_ms, PAUSE_MS_MAX)

    def _look(self, what: str, look: Callable[[], Looked]) -> Looked:
        try:
            looked = look()
        except REMEMBERED as error:
            self._keep(what, Looked(refused=error))
            raise
        except Exception:
            self.looks.drop(what)
            raise
        self._keep(what, looked)
        return looked

    def _keep(self, what: str, looked: Looked) -> None:
        until_ms = self.clock.now_ms() + LOOK_AGAIN_AFTER_MS
        self.looks.keep(what, looked, until_ms=until_ms)


def hinted(key: PaymentKey, hint: bytes) -> str:
    """The look that a hint asks for, by all that it says: another hint is another look.

    So a hint that comes again is one that was followed already, and one that says something new is
    followed at once.
    """
    return f"hint#{key.processor}#{key.charge_id}#{hashlib.sha256(hint).hexdigest()}"


def first_sight(payment_record: str) -> str:
    """The look at a Payment Record that the ledger does not know."""
    return f"record#{payment_record}"
