"""Money to a payment method without, or past, the payment that it came from: who may, and how much.

A refund returns money to where it came from, and never more than was paid. An unlinked one goes to
a card or account that its caller names; without a payment nothing but these rules bounds it. So a
stage sends none unless it says so, it has a route and a scope of its own, events may not ask
for it unless that is said apart, and the ledger counts what is asked for a day.

A refund that the ledger knows has passed here before: whoever repeats its key is answered.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, Protocol

from refunds.errors import ForbiddenError, InvalidRequestError, RateLimitedError
from refunds.ports import Clock, Ledger
from refunds.refund import RefundRequest
from refunds.state_machine import State

ROUTE: Final = "POST /v1/payouts"
_DAY_S: Final = 86_400


class UnlinkedRefunds(StrEnum):
    """Which a stage sends: none, those that name a Payment Record besides, or any."""

    OFF = "off"
    LINKED = "linked"
    ON = "on"


class AskedAt(StrEnum):
    """Where a request came in."""

    REFUNDS = "refunds"
    PAYOUTS = "payouts"
    EVENTS = "events"


class PayoutSums(Protocol):
    """Counts what was asked for in a day. May raise ``LedgerUnavailableError``."""

    def add(self, day: str, currency: str, amount: int, *, at_most: int) -> bool:
        """Add ``amount`` to that day's sum, durably, unless it would exceed ``at_most``.

        Amounts in minor units. What was added is not taken back, and a lost answer may have been
        added: the sum is never less than what was sent.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutRules:
    """What one stage allows.

    Attributes:
        by_events: whether events may ask.
        amount_max, day_max: of one refund, and of one currency on one UTC day; minor units.
    """

    unlinked: UnlinkedRefunds
    by_events: bool
    amount_max: int
    day_max: int
    ledger: Ledger
    sums: PayoutSums
    clock: Clock

    def require_allowed(self, refund_id: str, request: RefundRequest, asked_at: AskedAt) -> None:
        """Refuse what this stage does not send; of what it does, count it for the day.

        Raises:
            InvalidRequestError: it belongs to another route, or is too much.
            ForbiddenError: the stage sends no such refunds.
            RateLimitedError: the day's sum is reached. Nothing is stored; tomorrow it may be sent.
            LedgerUnavailableError: the ledger could not be asked.
        """
        if not request.is_unlinked:
            if asked_at is AskedAt.PAYOUTS:
                raise _invalid("payment_method", "is needed here; without it it is a refund")
            return
        known = self.ledger.refund(refund_id)
        if known is not None and known.state is not State.ABORTED:
            return
        self._require_asked_where_it_may_be(asked_at)
        self._require_sent_here(request)
        amount = request.amount or 0
        if amount > self.amount_max:
            raise _invalid("amount", f"is more than {self.amount_max}, the most of one payout")
        if known is None:
            self._count(request, amount)

    def _require_asked_where_it_may_be(self, asked_at: AskedAt) -> None:
        if asked_at is AskedAt.REFUNDS:
            raise _invalid("payment_method", f"belongs to {ROUTE}, with the scope refunds:payout")
        if asked_at is AskedAt.EVENTS and not self.by_events:
            raise _invalid("payment_method", "is not taken from events")

    def _require_sent_here(self, request: RefundRequest) -> None:
        if self.unlinked is UnlinkedRefunds.OFF:
            raise ForbiddenError("This stage sends no money to a payment method that is named.")
        if self.unlinked is UnlinkedRefunds.LINKED and request.report_to is None:
            raise ForbiddenError(
                "This stage sends no money without a payment: name payment_record."
            )

    def _count(self, request: RefundRequest, amount: int) -> None:
        now_s = self.clock.now_ms() // 1000
        day = datetime.fromtimestamp(now_s, UTC).date().isoformat()
        if not self.sums.add(day, request.currency or "", amount, at_most=self.day_max):
            raise RateLimitedError(
                f"With it the payouts of {day} would exceed {self.day_max}.",
                retry_after_s=_DAY_S - now_s % _DAY_S,
            )


def _invalid(path: str, reason: str) -> InvalidRequestError:
    return InvalidRequestError.at(path, reason, f"{path} {reason}.")
