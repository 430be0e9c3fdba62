"""The ports of the queues: the reporter's doorbell, and dead letters."""

from collections.abc import Mapping
from typing import Protocol


class DoorbellError(Exception):
    """The message may not have been queued; the ledger still knows that the report is due."""


class Doorbell(Protocol):
    """Wakes the reporter by a message (the doorbell).

    The message carries only the refund's id, never a fact about it; the ledger has the facts.
    """

    def ring(self, refund_id: str) -> None:
        """Queue one message that names the refund.

        Raises:
            DoorbellError: it may not have been queued.
        """


class DeadLettersError(Exception):
    """The message may not have been set aside; its queue still has it."""


class DeadLetters(Protocol):
    """The queue of messages that a person must look at."""

    def set_aside(self, body: str, reasons: Mapping[str, str]) -> None:
        """Keep the message as it came, together with what is wrong with it; durable on return.

        Raises:
            DeadLettersError: it may not have been kept.
        """
