"""Sends a test event to an address, from the same function as real events; tells the result."""

from dataclasses import dataclass

from refund_bridge.delivering.event import body_of_test
from refund_bridge.delivering.ports import AddressBook
from refund_bridge.delivering.post import PostEvent
from refund_bridge.ports.runtime import Clock, Deadline, Telemetry


@dataclass(frozen=True, slots=True, kw_only=True)
class SendTestEvent:
    """Sends one event that is about no refund. It counts neither as delivery nor as failure."""

    book: AddressBook
    post: PostEvent
    clock: Clock
    telemetry: Telemetry
    livemode: bool

    def __call__(self, address_id: str, deadline: Deadline) -> dict[str, str | int | bool | None]:
        """Send the event; tells whether it was taken, why not, and the milliseconds it took.

        Raises:
            KeyUnavailableError: the addresses' parameters cannot be read now.
        """
        # The operator may have added the address, or changed its secret, a moment ago.
        to = self.book.address(address_id, anew=True)
        if to is None:
            return {"taken": False, "reason": "no parameter holds this address", "took_ms": 0}
        at_ms, began_ms = self.clock.now_ms(), self.clock.monotonic_ms()
        body = body_of_test(f"test_{at_ms}", to, at_ms=at_ms, livemode=self.livemode)
        refusal = self.post(to, body, deadline)
        took_ms = self.clock.monotonic_ms() - began_ms
        taken, reason = refusal is None, None if refusal is None else refusal.reason
        self.telemetry.note("webhook_tested", address_id=address_id, taken=taken, took_ms=took_ms)
        return {"taken": taken, "reason": reason, "took_ms": took_ms}
