"""The messages of the webhooks' queue and of its dead letters: only ids, never a fact."""

import json
import re
from dataclasses import dataclass
from typing import Final

from refund_bridge.delivering.address import ADDRESS_ID

SCHEMA_VERSION: Final = 1
_REFUND_ID: Final = re.compile(r"[!-~]{1,255}")


class PoisonMessageError(ValueError):
    """A message that no retry makes readable. Its text may hold anything, so it is not repeated."""


@dataclass(frozen=True, slots=True)
class Message:
    """Which address to tell of which refund.

    Attributes:
        sequence: for a dead letter: the line of the history that it is about.
    """

    refund_id: str
    address_id: str
    sequence: int | None = None


def message_text(refund_id: str, address_id: str, sequence: int | None = None) -> str:
    """The message as it is queued; ``sequence`` is the line that a dead letter is about."""
    told = {"refund_id": refund_id, "address_id": address_id, "schema_version": SCHEMA_VERSION}
    return json.dumps(told if sequence is None else {**told, "sequence": sequence})


def parse_message(text: str) -> Message:
    """Read a message; unknown members are ignored.

    Raises:
        PoisonMessageError: the text is no valid message.
    """
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        raise PoisonMessageError("the message is not JSON") from None
    if not isinstance(told, dict):
        raise PoisonMessageError("the message is not a JSON object")
    version = told.get("schema_version")
    if type(version) is not int or version < SCHEMA_VERSION:
        raise PoisonMessageError("the message has no schema_version that was ever in use")
    refund_id, address_id = told.get("refund_id"), told.get("address_id")
    if not isinstance(refund_id, str) or not _REFUND_ID.fullmatch(refund_id):
        raise PoisonMessageError("the message has no refund_id")
    if not isinstance(address_id, str) or not ADDRESS_ID.fullmatch(address_id):
        raise PoisonMessageError("the message has no address_id")
    sequence = told.get("sequence")
    return Message(refund_id, address_id, sequence if type(sequence) is int else None)
