"""Sends one event: checks the address, signs anew, posts once."""

from dataclasses import dataclass
from typing import Final

from refund_bridge.delivering.address import WebhookAddress
from refund_bridge.delivering.event import BODY_BYTES_MAX
from refund_bridge.delivering.ports import Answered, Sender
from refund_bridge.delivering.signature import HEADER, signature_of
from refund_bridge.delivering.where import AddressRefusedError, require_allowed_url
from refund_bridge.ports.runtime import Clock, Deadline

# The longest in all: resolving the name, TCP, TLS, the request, and the whole answer.
POST_MS: Final = 10_000
USER_AGENT: Final = "RefundBridge-Webhooks/1"
GONE: Final = 410


@dataclass(frozen=True, slots=True)
class NotTaken:
    """The address has not taken the event.

    Attributes:
        reason: in our words, for logs, the ledger and dead letters.
        is_gone: the address answered 410: it wants no more events.
    """

    reason: str
    is_gone: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PostEvent:
    """Sends events.

    Attributes:
        local: whether this is a local stage, where 127.0.0.1 is allowed.
    """

    sender: Sender
    clock: Clock
    local: bool

    def __call__(self, to: WebhookAddress, body: bytes, deadline: Deadline) -> NotTaken | None:
        """Send it once; ``None``: it was taken. Never raises for network errors."""
        if len(body) > BODY_BYTES_MAX:
            return NotTaken(f"the event is larger than {BODY_BYTES_MAX // 1024} KB")
        try:
            require_allowed_url(to.url, local=self.local)
        except AddressRefusedError as error:
            return NotTaken(f"may not be sent to: {error}")
        now_ms = self.clock.now_ms()
        secrets = to.signing(now_ms)
        if not secrets:
            return NotTaken("none of its secrets is valid any more")
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "User-Agent": USER_AGENT,
            HEADER: signature_of(body, secrets, at_s=now_ms // 1000),
        }
        answer = self.sender.post(to.url, headers, body, deadline.at_most(POST_MS))
        if not isinstance(answer, Answered):
            return NotTaken(answer.reason)
        if answer.is_taken:
            return None
        return NotTaken(f"it answered {answer.status}", is_gone=answer.status == GONE)
