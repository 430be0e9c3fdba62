"""Checks a webhook of HitPay: is it genuine, and which charge is it about? Pure.

Its body is only a hint, so nothing but the charge's id is taken from it. Facts:
https://docs.hitpayapp.com (event webhooks): ``Hitpay-Signature`` is the hex HMAC-SHA256 of the raw
body under the webhook's salt, and the headers say what kind of object the body is.
"""

import hashlib
import hmac
import json
import re
from collections.abc import Sequence
from typing import Final

from refund_bridge.contract.documents import FORM, media_type_of
from refund_bridge.domain.errors import InvalidRequestError

CHARGE: Final = "charge"
# HitPay's ids are UUIDs. No character here has a meaning in URLs or in the ledger's keys.
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,255}", re.ASCII)


def is_signed(body: bytes, signature: str | None, salts: Sequence[str]) -> bool:
    """Whether ``signature`` is that of the raw ``body`` under one of ``salts``.

    Every salt is always tried, so that the time taken does not tell which one fits.
    """
    given = (signature or "").strip().lower().encode("utf-8", "surrogatepass")
    fits = False
    for salt in salts:
        expected = hmac.new(salt.encode(), body, hashlib.sha256).hexdigest().encode()
        fits |= hmac.compare_digest(expected, given)
    return fits


def refuse_vendor_webhook(body: bytes, content_type: str | None) -> None:
    """Refuse the webhooks that HitPay sends per payment request: a form with an ``hmac`` member.

    Such webhooks tell of payments, not of refunds.

    Raises:
        InvalidRequestError: it is one of those.
    """
    if media_type_of(content_type) == FORM and b"hmac=" in body:
        raise InvalidRequestError.at(
            "Content-Type",
            "must be application/json",
            "This is the webhook of a payment request, which tells of no refund. Register an event "
            "webhook for charge.updated in HitPay's dashboard instead.",
        )


def charge_id_in(body: bytes) -> str:
    """The id of the charge that a genuine webhook is about.

    Raises:
        InvalidRequestError: the body names none.
    """
    try:
        charge = json.loads(body)
    except (ValueError, RecursionError):
        charge = None
    named = charge if isinstance(charge, dict) else {}
    # HitPay's own command-line client calls it ``charge_id``.
    charge_id = named.get("id", named.get("charge_id"))
    if not isinstance(charge_id, str) or not _ID.fullmatch(charge_id):
        raise InvalidRequestError.at(
            "id",
            "a charge's id is expected",
            "The body is not a charge.",
        )
    return charge_id
