"""Stripe's signature of webhooks, so that ``stripe.Webhook.construct_event`` verifies ours.

https://docs.stripe.com/webhooks, "Verify webhook signatures manually": HMAC-SHA256 of the time in
seconds, a full stop and the body, under the secret as it is written; one ``v1`` for every secret.
"""

import hashlib
import hmac
from collections.abc import Sequence
from typing import Final

HEADER: Final = "Stripe-Signature"


def signature_of(body: bytes, secrets: Sequence[str], *, at_s: int) -> str:
    """The header's value; ``at_s`` is now, in Unix seconds: receivers refuse old ones."""
    signed = b"%d." % at_s + body
    codes = (hmac.new(one.encode(), signed, hashlib.sha256).hexdigest() for one in secrets)
    return ",".join([f"t={at_s}", *(f"v1={code}" for code in codes)])
