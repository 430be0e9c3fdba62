"""The report queue: redelivers, duplicates, loses, reorders; gives up to a dead-letter queue."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from refund_bridge.ports.queues import DoorbellError
from tests.simulation.faults import Fault
from tests.simulation.gate import Gate

VISIBILITY_MS: Final = 360_000


@dataclass(slots=True, eq=False)
class Message:
    """One message; ``turn`` counts the decisions about it, so that an old one has no effect."""

    refund_id: str
    receives: int = 0
    turn: int = 0


class ReportQueue:
    """``ports.queues.Doorbell``, and what happens to its messages.

    Attributes:
        deliver: hands a message to a worker.
        dead: messages that were received too often.
        waiting: how many messages are in the queue.
    """

    def __init__(self, gate: Gate, max_receives: int) -> None:
        self.deliver: Callable[[Message], None] = lambda _: None
        self.dead: list[Message] = []
        self.waiting = 0
        self._gate = gate
        self._max_receives = max_receives

    def ring(self, refund_id: str) -> None:
        random = self._gate.scheduler.random
        fault = self._gate.enter("doorbell.ring", refund_id[4:8])
        if fault is Fault.LOST_WITH_ERROR:
            raise DoorbellError("the queue gave no answer")
        if fault is not Fault.LOST_SILENTLY:
            wait_ms = int(random.expovariate(0.01))
            if fault is Fault.DELAYED:
                wait_ms += random.choice((30_000, 600_000, 3_600_000))
            self._send(Message(refund_id), wait_ms)
        if fault is Fault.DUPLICATED:
            self._send(Message(refund_id), random.choice((0, 100, 30_000)))
        self._gate.leave(fault)
        if fault is Fault.QUEUED_WITH_ERROR:
            raise DoorbellError("the queue's answer was lost")

    def is_last(self, message: Message) -> bool:
        """Whether the message goes to the dead-letter queue if it fails this time."""
        return message.receives >= self._max_receives

    def delete(self, message: Message) -> None:
        """Delete a message that was handled."""
        message.turn += 1
        self.waiting -= 1

    def hide(self, message: Message, wait_ms: int) -> None:
        """Let a failed message come back after a wait, unless this was the last time."""
        message.turn += 1
        self._come_back(message, wait_ms)

    def redrive(self) -> None:
        """A person puts the dead letters back into the queue."""
        dead, self.dead = self.dead, []
        for message in dead:
            self._send(Message(message.refund_id), 0)

    def send_by_hand(self, refund_id: str) -> None:
        """A person queues a message, as a redrive does."""
        self._send(Message(refund_id), 0)

    def _send(self, message: Message, wait_ms: int) -> None:
        self.waiting += 1
        self._gate.scheduler.after(wait_ms, lambda: self._receive(message))

    def _receive(self, message: Message) -> None:
        if message.receives >= self._max_receives:
            self.waiting -= 1
            self.dead.append(message)
            return
        message.receives += 1
        message.turn += 1
        turn = message.turn
        self.deliver(message)
        # If its worker dies, the message becomes visible again.
        self._gate.scheduler.after(VISIBILITY_MS, lambda: self._unless_decided(message, turn))

    def _unless_decided(self, message: Message, turn: int) -> None:
        if message.turn == turn:
            self._receive(message)

    def _come_back(self, message: Message, wait_ms: int) -> None:
        self._gate.scheduler.after(wait_ms, lambda: self._receive(message))
