"""HitPay's answers: with HitPay's fields, and its forms of amounts and times."""

from datetime import UTC, datetime
from decimal import Decimal

from local.simulators.calls import View
from local.simulators.clock import SINGAPORE, singapore_text, utc_text
from local.simulators.currency import exponent
from local.simulators.hitpay_book import Charge, HitPayBook, PaymentRequest, Refund
from local.simulators.hitpay_settings import HitPaySettings
from local.simulators.json_text import JsonObject


def printed(amount: Decimal, currency: str, settings: HitPaySettings) -> Decimal | str:
    """Give an amount the form that the settings ask for; its value does not change."""
    places = exponent(currency)
    if places == 0 and settings.zero_decimal_form == "two_decimals":
        places = 2
    if settings.number_form == "shortest":
        whole = amount.to_integral_value()
        return whole if amount == whole else amount.normalize()
    fixed = amount.quantize(Decimal(1).scaleb(-places))
    if settings.number_form == "fixed":
        return fixed
    return f"{fixed:,f}" if settings.number_form == "grouped" else f"{fixed:f}"


def refund_body(
    refund: Refund, charge: Charge, settings: HitPaySettings, *, is_read: bool = False
) -> JsonObject:
    """Return the refund object, with the documented members and no other.

    A refund that is read has its times in another form than the answer to a new refund.
    """
    hides_status = settings.refund_status == "null" and refund.status == "succeeded"
    return {
        "id": refund.id,
        "refunded_by": None,
        "payment_id": refund.payment_id,
        "amount_refunded": printed(refund.amount, charge.currency, settings),
        "total_amount": printed(charge.amount, charge.currency, settings),
        "currency": currency_text(charge.currency, settings),
        "status": None if hides_status else refund.status,
        "payment_method": charge.payment_method,
        **_fee(charge, settings),
        "refunded_at": utc_text(refund.refunded_at) if refund.refunded_at else None,
        "created_at": _read_time(refund) if is_read else singapore_text(refund.created_at),
    }


def charge_body(charge: Charge, settings: HitPaySettings, view: View) -> JsonObject:
    """Return the charge as far as this view knows it."""
    refunded = charge.refunded(view, with_pending=settings.pending_counts)
    visible = [refund for refund in charge.refunds if view.shows(refund.recorded)]
    times = [refund.refunded_at for refund in visible if refund.refunded_at]
    body: JsonObject = {
        "id": charge.id,
        "currency": currency_text(charge.currency, settings),
        "home_currency": currency_text(charge.currency, settings),
        "exchange_rate": "1.00000",
        "amount": printed(charge.amount, charge.currency, settings),
        "status": charge.shown_status(refunded),
        "payment_method": {"name": charge.payment_method},
        "payment_request_id": charge.payment_request_id,
        "order_reference_number": charge.order_reference_number,
        "channel": "api_custom",
        "refunded_at": utc_text(max(times)) if times else None,
        "closed_at": _with_offset(charge.created_at),
        "created_at": _with_offset(charge.created_at),
        "updated_at": _with_offset(charge.created_at),
    }
    if settings.charge_refunded_amount == "present":
        body["refunded_amount"] = printed(refunded, charge.currency, settings)
    if settings.charge_refunds != "absent":
        whole = [_listed(refund, charge, settings) for refund in visible]
        body["refunds"] = [_brief(item) for item in whole] if _is_brief(settings) else whole
    return body


def request_body(request: PaymentRequest, book: HitPayBook, settings: HitPaySettings) -> JsonObject:
    """Return the payment request with its payments."""
    charges = [book.charges[key] for key in request.payment_ids if key in book.charges]
    return {
        "id": request.id,
        "reference_number": request.reference_number,
        "amount": printed(request.amount, request.currency, settings),
        "currency": request.currency,
        "status": request.status,
        "payments": [
            {
                "id": charge.id,
                "quantity": 1,
                "status": charge.status,
                "buyer_name": None,
                "buyer_phone": None,
                "buyer_email": None,
                "currency": charge.currency,
                "amount": printed(charge.amount, charge.currency, settings),
                "refunded_amount": printed(
                    charge.refunded(_ALL, with_pending=settings.pending_counts),
                    charge.currency,
                    settings,
                ),
                "payment_type": charge.payment_method,
                "fees": None,
                "created_at": singapore_text(charge.created_at),
            }
            for charge in charges
        ],
    }


def currency_text(currency: str, settings: HitPaySettings) -> str:
    """Return the currency's code in the case that the settings ask for."""
    return currency.upper() if settings.currency_case == "upper" else currency


_ALL = View()


def _fee(charge: Charge, settings: HitPaySettings) -> JsonObject:
    """HitPay's fee for a refund: a JSON number, its currency in upper case as in the schema."""
    if settings.provider_fee is None:
        return {"provider_fee": None, "provider_fee_currency": None}
    currency = settings.provider_fee_currency or charge.currency
    return {
        "provider_fee": Decimal(settings.provider_fee),
        "provider_fee_currency": currency.upper(),
    }


def _read_time(refund: Refund) -> str:
    moment = (refund.refunded_at or refund.created_at).astimezone(UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000000Z")


def _listed(refund: Refund, charge: Charge, settings: HitPaySettings) -> JsonObject:
    body = refund_body(refund, charge, settings)
    return body | {"id": f"listed-{refund.id}"} if settings.charge_refund_ids == "own" else body


def _is_brief(settings: HitPaySettings) -> bool:
    return settings.charge_refunds == "brief"


def _brief(refund: JsonObject) -> JsonObject:
    return {key: refund[key] for key in ("id", "amount_refunded", "status", "created_at")}


def _with_offset(moment: datetime) -> str:
    return moment.astimezone(SINGAPORE).isoformat(timespec="seconds")
