"""Money to a payment method without, or past, the payment that it came from: who may, and how much.

A refund returns money to where it came from, and never more than was paid. An unlinked one goes to
a card or account that its caller names; without a payment nothing but these rules bounds it. So a
stage sends none unless it says so, it has a route and a scope of its own, events may not ask
for it unless that is said apart. What a day comes to is counted where its amount is reserved
(``reserve.py``), in the same transaction.

A refund that the ledger knows is answered whatever is allowed by now; these rules are asked
wherever something would be sent (``ExecuteRefund``), so also for one that ended ``aborted``.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from refund_bridge.domain.errors import ForbiddenError, InvalidRequestError
from refund_bridge.domain.refund_request import RefundRequest

ROUTE: Final = "POST /v1/payouts"
# What a request has only if it asks for one.
_MEMBERS: Final = ("payment_method", "customer")


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


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutRules:
    """What one stage allows.

    Attributes:
        by_events: whether events may ask.
        amount_max: of one refund, minor units.
    """

    unlinked: UnlinkedRefunds
    by_events: bool
    amount_max: int

    def require_allowed(self, request: RefundRequest, asked_at: AskedAt) -> None:
        """Refuse what this stage does not send.

        Raises:
            InvalidRequestError: it belongs to another route, or is too much.
            ForbiddenError: the stage sends no such refunds.
        """
        if not request.is_unlinked:
            return
        self._require_asked_where_it_may_be(asked_at)
        self._require_sent_here(request)
        amount = request.amount or 0
        if amount > self.amount_max:
            raise _invalid("amount", f"is more than {self.amount_max}, the most of one payout")

    def _require_asked_where_it_may_be(self, asked_at: AskedAt) -> None:
        if asked_at is AskedAt.REFUNDS:
            raise _of_the_other_route("payment_method")
        if asked_at is AskedAt.EVENTS and not self.by_events:
            raise _invalid("payment_method", "is not taken from events")

    def _require_sent_here(self, request: RefundRequest) -> None:
        if self.unlinked is UnlinkedRefunds.OFF:
            raise ForbiddenError("This stage sends no money to a payment method that is named.")
        if self.unlinked is UnlinkedRefunds.LINKED and request.report_to is None:
            raise ForbiddenError(
                "This stage sends no money without a payment: name payment_record."
            )


def require_payout(request: RefundRequest) -> None:
    """Refuse what has no place at the route of payouts.

    Raises:
        InvalidRequestError: it is a payment's refund.
    """
    if not request.is_unlinked:
        raise _invalid("payment_method", "is needed here; without it it is a refund")


def require_no_payout(document: object) -> None:
    """Refuse, by its name, what asks for a payout and is none that the ledger can know.

    Raises:
        InvalidRequestError: it names the route that payouts have.
    """
    for name in _MEMBERS:
        if isinstance(document, dict) and name in document:
            raise _of_the_other_route(name)


def _of_the_other_route(path: str) -> InvalidRequestError:
    return _invalid(path, f"belongs to {ROUTE}, with the scope refunds:payout")


def _invalid(path: str, reason: str) -> InvalidRequestError:
    return InvalidRequestError.at(path, reason, f"{path} {reason}.")
