"""Limits how often callers can make us read at the providers: a result is kept for ten seconds.

This covers every read at Stripe and a processor that changes nothing and that callers can cause as
often as they like: a webhook that is sent again, a payment that the ledger does not know, a Payment
Record that does not exist. If several ask at once, one of them reads and the others wait for its
result. For refunds, ``SettleRefund.look_now`` has a limit of the same length in the ledger.

A request to send money is never answered from here.
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

# A result is at most this old, and the providers are asked at most this often.
LOOK_AGAIN_AFTER_MS: Final = 10_000
# Soon at first, then ever less often: many may wait for one.
PAUSE_MS: Final = 250
PAUSE_MS_MAX: Final = 2_000
BUSY_RETRY_AFTER_S: Final = 2
# Errors that are kept as a result. A provider that did not answer is not among them.
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
    """The result of a look: a word, a payment or a refusal; empty while the look is going on."""

    word: str | None = None
    payment: Payment | None = None
    refused: RefundBridgeError | None = None

    @property
    def is_over(self) -> bool:
        """Whether the look has ended."""
        return self != LOOKING


LOOKING: Final = Looked()


class Looks(Protocol):
    """Remembers a bounded number of looks for a while.

    A newer look may push out an older one, which is then made again when asked for. Each method may
    raise ``LedgerUnavailableError``.
    """

    def take(self, what: str, *, now_ms: int, until_ms: int) -> Looked | None:
        """Take this look until ``until_ms``, durably, unless another call has it already.

        Returns ``None`` if the caller has it now. Otherwise returns its result, or ``LOOKING`` if
        there is none yet. An entry that would last longer than from ``now_ms`` to ``until_ms`` is
        ignored: another worker with a wrong clock wrote it.
        """

    def keep(self, what: str, looked: Looked, *, until_ms: int) -> None:
        """Store the look's result until ``until_ms``; durable on return."""

    def drop(self, what: str) -> None:
        """Forget the look, so that the next caller makes it again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LookOnce:
    """Makes a look, unless another call has just made it.

    Attributes:
        pause: lets so many seconds pass.
    """

    looks: Looks
    clock: Clock
    pause: Callable[[float], None]

    def __call__(self, what: str, look: Callable[[], Looked], deadline: Deadline) -> Looked:
        """The result of ``look``, made now or less than ``LOOK_AGAIN_AFTER_MS`` ago.

        Raises:
            RateLimitedError: another call is still looking at the end of ``deadline``.
            RefundBridgeError: ``look`` raised it, now or a moment ago.
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
    """The name of the look that a hint (a webhook's body) asks for, made from all of its bytes.

    So a hint that comes again is not followed again, and one with new content is followed at once.
    """
    return f"hint#{key.processor}#{key.charge_id}#{hashlib.sha256(hint).hexdigest()}"


def first_sight(payment_record: str) -> str:
    """The name of the look at a Payment Record that the ledger does not know."""
    return f"record#{payment_record}"
