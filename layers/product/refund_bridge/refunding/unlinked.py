"""A refund to a payment method instead of to a payment.

If it names a Payment Record, it is a refund of the payment that the record books; only the money
goes elsewhere. It shares that payment's refundable balance, slot and sums, so that all refunds
together never exceed what was paid, and Stripe is told of it. If it names no record, the ledger has
a payment of just its amount for it, and Stripe is not told.
"""

from refund_bridge.domain.errors import InvalidRequestError
from refund_bridge.domain.payment import PaymentKey, unlinked_payment_key
from refund_bridge.domain.payment_reference import payment_named_by
from refund_bridge.domain.payment_snapshot import LocatedPayment, PaymentSnapshot
from refund_bridge.domain.refund_request import RefundRequest
from refund_bridge.ports.runtime import Deadline
from refund_bridge.refunding.locate_payment import PaymentLocator


def locate_unlinked(
    locator: PaymentLocator,
    refund_id: str,
    request: RefundRequest,
    claimed: PaymentKey | None,
    deadline: Deadline,
) -> LocatedPayment:
    """The payment for an unlinked refund; nothing is written and no money is moved.

    ``claimed`` is the payment that the ledger knows for the record that is named, if any.

    Raises:
        InvalidRequestError: the processor sends no money without a payment, or the request lacks
            processor, amount or currency.
        PaymentNotLinkedError: no such processor is set up.
        RefundBridgeError: the record cannot take the report; as ``PaymentLocator.locate``.
    """
    name, amount, currency = request.processor, request.amount, request.currency
    if name is None or amount is None or currency is None:
        raise _invalid("payment_method", "needs processor, amount and currency beside it")
    if not locator.processor(name).capabilities.unlinked:
        raise _invalid("processor", f"{name} sends no money without a payment")
    if request.report_to is not None:
        return locator.locate(payment_named_by(request), claimed, deadline)
    seen = PaymentSnapshot(
        key=unlinked_payment_key(name, refund_id),
        payment_record=None,
        currency=currency,
        captured=amount,
        in_book=None,
        charge=None,
    )
    return LocatedPayment(seen=seen, report_to=None)


def _invalid(path: str, reason: str) -> InvalidRequestError:
    return InvalidRequestError.at(
        path,
        reason,
        "The request is not of the contract's form.",
    )
