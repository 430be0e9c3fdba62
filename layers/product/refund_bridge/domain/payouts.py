"""The rules for unlinked refunds (payouts): who may ask for them, and for how much.

A normal refund returns money to where it came from, and never more than was paid. An unlinked one
goes to a card or account that the caller names; without a payment, only these rules limit it. So a
stage sends none unless its settings allow it, payouts have a route and a scope of their own, and
events may ask for them only if another setting allows that. The sum of a day's payouts is counted
where the amount is reserved (``reserve.py``), in the same transaction.

These rules are checked before anything is sent (``ExecuteRefund``), so also before an ``aborted``
refund is sent again. Any other refund that the ledger knows is answered without them.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from refund_bridge.domain.errors import ForbiddenError, InvalidRequestError
from refund_bridge.domain.refund_request import RefundRequest

ROUTE: Final = "POST /v1/payouts"
# The members that only a request for a payout has.
_MEMBERS: Final = ("payment_method", "customer")


class UnlinkedRefunds(StrEnum):
    """Which unlinked refunds a stage sends: none, those that name a Payment Record, or all."""

    OFF = "off"
    LINKED = "linked"
    ON = "on"


class AskedAt(StrEnum):
    """The way by which a request came in."""

    REFUNDS = "refunds"
    PAYOUTS = "payouts"
    EVENTS = "events"


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutRules:
    """The unlinked refunds that one stage allows.

    Attributes:
        by_events: whether events may ask for them.
        amount_max: the most of one refund, minor units.
    """

    unlinked: UnlinkedRefunds
    by_events: bool
    amount_max: int

    def require_allowed(self, request: RefundRequest, asked_at: AskedAt) -> None:
        """Refuse an unlinked refund that this stage does not send.

        Raises:
            InvalidRequestError: it belongs to another route, or its amount is too high.
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
    """Refuse a request at the route of payouts that is none.

    Raises:
        InvalidRequestError: it asks for a refund of a payment.
    """
    if not request.is_unlinked:
        raise _invalid("payment_method", "is needed here; without it it is a refund")


def require_no_payout(document: object) -> None:
    """Refuse a document that has a member which only payouts have.

    Raises:
        InvalidRequestError: its text names the route for payouts.
    """
    for name in _MEMBERS:
        if isinstance(document, dict) and name in document:
            raise _of_the_other_route(name)


def _of_the_other_route(path: str) -> InvalidRequestError:
    return _invalid(path, f"belongs to {ROUTE}, with the scope refunds:payout")


def _invalid(path: str, reason: str) -> InvalidRequestError:
    return InvalidRequestError.at(path, reason, f"{path} {reason}.")
