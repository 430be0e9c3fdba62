"""The Convenient Checkout Gateway's refund, read as its documents describe it.

Facts: https://developers.healthsafepay.com/docs (refunds). Every answer is wrapped in ``data``. The
first answer of a linked refund shows no amount, later ones do; none shows a currency.
"""

from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from refund_bridge.domain.charge import ProcessorRefund, ProcessorRefundStatus
from refund_bridge.domain.money import (
    AMOUNT_MAX,
    AmountNotRepresentableError,
    Money,
    money_from_major,
)
from refund_bridge.ports.processor import UnreadableAnswerError
from refund_bridge.processors.shared.accepting import AnyInstruction, instruction_id_of
from refund_bridge.processors.shared.answer_members import Members

TITLE: Final = "The Convenient Checkout Gateway"
# A refund with any other status is not final.
_STATUS: Final = {
    "COMPLETED": ProcessorRefundStatus.SUCCEEDED,
    "FAILED": ProcessorRefundStatus.FAILED,
}


class AmountUnit(StrEnum):
    """The unit in which the gateway counts; its samples (100, 8000, 200.0) allow both."""

    MINOR = "minor"
    MAJOR = "major"

    def written(self, money: Money) -> int | Decimal:
        """The amount as a JSON number of this unit."""
        if self is AmountUnit.MINOR:
            return money.amount
        return Decimal(money.decimal_string())

    def read(self, value: Any, currency: str) -> Money:
        """The amount of a JSON number in this unit.

        Raises:
            UnreadableAnswerError: it is not an amount.
        """
        if type(value) is not int and not isinstance(value, Decimal):
            raise UnreadableAnswerError(f"an amount in {TITLE}'s answer is no number")
        number = Decimal(value)
        if not 0 < number <= AMOUNT_MAX:
            raise UnreadableAnswerError(f"an amount in {TITLE}'s answer is no amount")
        if self is AmountUnit.MAJOR:
            try:
                return money_from_major(number, currency)
            except AmountNotRepresentableError as error:
                raise UnreadableAnswerError(f"an amount in {TITLE}'s answer: {error}") from error
        if number != number.to_integral_value():
            raise UnreadableAnswerError(f"an amount in {TITLE}'s answer has a fraction")
        return Money(int(number), currency)


def read_processor_refund(data: Any, *, unit: AmountUnit, currency: str) -> ProcessorRefund:
    """Read a refund, linked or not; its ``merchantTransactionId`` names its instruction.

    Raises:
        UnreadableAnswerError: an id, amount or status is missing or of a wrong type, or the refund
            belongs to nothing, or to a payment and a payment method at once.
    """
    members = Members(data, TITLE)
    return _processor_refund(members, unit.read(members.value("amount"), currency), currency)


def read_accepted(data: Any, instruction: AnyInstruction, *, unit: AmountUnit) -> ProcessorRefund:
    """Read the refund in the answer to its own instruction, which need not show its amount.

    A refund without an amount is not final, so that a later check shows the amount first.

    Raises:
        UnreadableAnswerError: as ``read_processor_refund``, or it does not name the instruction.
    """
    members = Members(data, TITLE)
    members.text("merchantTransactionId")
    if members.value("amount") is not None:
        return read_processor_refund(data, unit=unit, currency=instruction.money.currency)
    return _processor_refund(members, instruction.money, instruction.money.currency, is_final=False)


def _processor_refund(
    members: Members, money: Money, currency: str, *, is_final: bool = True
) -> ProcessorRefund:
    for name in ("currency", "currencyCode"):
        if members.optional_text(name) is not None and members.currency(name) != currency:
            raise UnreadableAnswerError(f"{TITLE} answered in another currency")
    payment_id, method = (
        members.optional_text("paymentId"),
        members.optional_text("paymentMethodId"),
    )
    if payment_id is None and method is None:
        raise UnreadableAnswerError(f"{TITLE} shows a refund that belongs to nothing")
    word = members.text("status")
    status = _STATUS.get(word.upper(), ProcessorRefundStatus.PENDING)
    return ProcessorRefund(
        id=members.text("id"),
        payment_id=payment_id or "",
        money=money,
        status=status if is_final else ProcessorRefundStatus.PENDING,
        processor_status=word,
        instruction_id=instruction_id_of(members.optional_text("merchantTransactionId")),
        # If there is a payment, the method is just that of the payment.
        payment_method=None if payment_id else method,
    )
