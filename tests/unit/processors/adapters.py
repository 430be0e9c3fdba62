"""The adapters, at whatever listens at a URL, and what their processors answer."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from refund_bridge.adapters.http.api_key import ApiKey
from refund_bridge.adapters.http.client import DeadlineHttp
from refund_bridge.domain.instruction import Instruction, UnlinkedInstruction
from refund_bridge.domain.money import Money
from refund_bridge.ports.processor import LookUp, Processor
from refund_bridge.ports.runtime import Deadline
from refund_bridge.processors.ccg.adapter import Ccg, CcgSettings
from refund_bridge.processors.ccg.objects import AmountUnit
from refund_bridge.processors.hedge.adapter import Hedge
from refund_bridge.processors.hitpay.adapter import HitPay
from refund_bridge.processors.hyperswitch.adapter import Hyperswitch

REFUND_ID = "rfd_qjkjrqprswwq4hhnrgfyrr7o2iwtwmjd"
INSTRUCTION = Instruction(refund_id=REFUND_ID, payment_id="pay-1", money=Money(5000, "usd"))
UNLINKED = UnlinkedInstruction(
    refund_id=REFUND_ID,
    money=Money(5000, "usd"),
    payment_method="method-1",
    customer={"hsid": "9c80e161"},
)
MERCHANT = "merchant-1"


def hitpay_refund(**changes: Any) -> dict[str, Any]:
    return {
        "id": "ref-1",
        "payment_id": "pay-1",
        "amount_refunded": 50,
        "total_amount": 99.99,
        "currency": "usd",
        "status": "succeeded",
        "refunded_at": "2024-05-01T02:03:04Z",
        "created_at": "2024-05-01T10:03:00",
        "something_new": {"nobody": "asked for"},
        **changes,
    }


def hitpay_charge(**changes: Any) -> dict[str, Any]:
    return {
        "id": "pay-1",
        "status": "partially_refunded",
        "amount": 99.99,
        "currency": "SGD",
        "home_currency": "usd",
        "refunded_amount": 25.0,
        "refunds": [{"id": "ref-1", "amount_refunded": 25, "status": "succeeded"}],
        "payment_method": {"name": "card"},
        **changes,
    }


def hitpay_unknown(model: str = "Charge") -> dict[str, Any]:
    return {"message": f"No query results for model [App\\Business\\{model}] pay-1"}


def hyperswitch_refund(**changes: Any) -> dict[str, Any]:
    return {
        "refund_id": REFUND_ID,
        "payment_id": "pay-1",
        "amount": 5000,
        "currency": "USD",
        "status": "succeeded",
        "reason": None,
        "metadata": {},
        "error_message": None,
        "error_code": None,
        "created_at": "2024-05-01T02:03:00Z",
        "updated_at": "2024-05-01T02:03:04Z",
        "connector": "stripe",
        **changes,
    }


def hyperswitch_payment(**changes: Any) -> dict[str, Any]:
    return {
        "payment_id": "pay-1",
        "status": "succeeded",
        "amount": 9999,
        "amount_received": 9999,
        "currency": "USD",
        "payment_method": "card",
        "refunds": [hyperswitch_refund(amount=2500)],
        **changes,
    }


def hyperswitch_error(code: str | None, message: object = "No.", **more: Any) -> dict[str, Any]:
    return {"error": {"type": "invalid_request", "code": code, "message": message, **more}}


def hedge_payment(*refunds: dict[str, Any], **changes: Any) -> dict[str, Any]:
    listed = refunds or (hedge_refund(),)
    return {
        "id": "pay-1",
        "object": "payment",
        "amount": 9999,
        "currency": "USD",
        "status": "partially_refunded",
        "payment_method": "card",
        "refunded_amount": sum(item["amount"] for item in listed),
        "refunds": list(listed),
        "created_at": "2024-04-30T10:30:00Z",
        **changes,
    }


def hedge_refund(**changes: Any) -> dict[str, Any]:
    return {
        "id": "ref-1",
        "amount": 5000,
        "reason": "customer_requested",
        "status": "succeeded",
        "created_at": "2024-05-01T02:03:04Z",
        **changes,
    }


def hedge_error(code: str, message: object = "No.", **more: Any) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, **more}}


def ccg_refund(**changes: Any) -> dict[str, Any]:
    data = {
        "id": "257d30aa",
        "paymentId": "pay-1",
        "merchantId": MERCHANT,
        "amount": 5000,
        "reason": "DUPLICATE",
        "merchantTransactionId": REFUND_ID,
        "metadata": {"merchantTransactionId": REFUND_ID},
        "status": "INITIATED",
        **changes,
    }
    kept = {name: value for name, value in data.items() if value is not None}
    return {"url": "http://api-stg.uhg.com:443/refunds/257d30aa", "data": kept}


def ccg_unlinked(**changes: Any) -> dict[str, Any]:
    return ccg_refund(**{"paymentId": None, "paymentMethodId": "method-1", **changes})


def ccg_error(detail: object, title: str = "INVALID_REQUEST") -> dict[str, Any]:
    return {"title": title, "status": 400, "detail": detail}


def ccg_settings(url: str, **changes: Any) -> CcgSettings:
    given = {"url": url, "merchant_id": MERCHANT, "amount_unit": AmountUnit.MINOR, **changes}
    return CcgSettings(**given)


@dataclass(frozen=True)
class Adapting:
    """One of them: how it is made, and what its processor answers to ``INSTRUCTION``.

    Attributes:
        money_call: the request that moves money.
        success: the answer of a processor that did what was asked.
        refusal: a refusal of its own.
        shown: what it answers to ``look``, which reads a payment, or else a refund.
    """

    make: Callable[[str, ApiKey, DeadlineHttp], Processor]
    money_call: str
    success: dict[str, Any]
    refusal: dict[str, Any]
    shown: dict[str, Any]
    key_header: tuple[str, str]
    content_type: str = "application/json"

    def look(self, processor: Processor, deadline: Deadline) -> object:
        """A read of what it shows: a payment where payments are shown, else a refund."""
        if LookUp.BY_PAYMENT in processor.capabilities.looks_up:
            return processor.charge("pay-1", deadline)
        return processor.processor_refund("257d30aa", deadline)


ADAPTERS = {
    "hitpay": Adapting(
        make=lambda url, key, http: HitPay(base_url=url, key=key, http=http),
        money_call="POST /v1/refund",
        success=hitpay_refund(),
        refusal={"message": "No."},
        shown=hitpay_charge(),
        key_header=("x-business-api-key", "{}"),
        content_type="application/x-www-form-urlencoded",
    ),
    "hyperswitch": Adapting(
        make=lambda url, key, http: Hyperswitch(base_url=url, key=key, http=http),
        money_call="POST /refunds",
        success=hyperswitch_refund(),
        refusal=hyperswitch_error("IR_06"),
        shown=hyperswitch_payment(),
        key_header=("api-key", "{}"),
    ),
    "hedge": Adapting(
        make=lambda url, key, http: Hedge(base_url=url, key=key, http=http),
        money_call="POST /v1/payments/pay-1/refund",
        success=hedge_payment(),
        refusal=hedge_error("payment_not_refundable"),
        shown=hedge_payment(),
        key_header=("authorization", "Bearer {}"),
    ),
    "ccg": Adapting(
        make=lambda url, key, http: Ccg(ccg_settings(url), key=key, http=http),
        money_call="POST /v1/refunds",
        success=ccg_refund(),
        refusal=ccg_error("No."),
        shown=ccg_refund(),
        key_header=("authorization", "Bearer {}"),
    ),
}


def sent_json(body: bytes) -> Any:
    return json.loads(body)
