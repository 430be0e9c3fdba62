"""Implements ``ports.events.EventBus`` with EventBridge.

Even if PutEvents answers 200, single entries may have been refused, each with its own code. So each
entry of the answer is checked (AWS, API reference of PutEvents).
"""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from random import SystemRandom
from typing import TYPE_CHECKING, Final

from botocore.exceptions import BotoCoreError, ClientError

from refund_bridge.events.announcements import SOURCE
from refund_bridge.ports.events import Announcement
from refund_bridge.ports.runtime import Deadline, Telemetry

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_events.type_defs import PutEventsRequestEntryTypeDef

# AWS's limits on one request: the number of entries, and the bytes of all of them together.
ENTRIES_MAX: Final = 10
BYTES_MAX: Final = 256 * 1024 - 1
TIME_BYTES: Final = 14
# The longest that one request takes with botocore's retries: three times 1 s to connect and 3 s to
# answer.
CALL_MS: Final = 13_000
# The pauses before the second and third try for entries that were refused only for the moment.
PAUSES_S: Final = (0.2, 0.8)
# The codes, of a request or an entry, that AWS says are worth a retry.
PASSING: Final = frozenset(
    {
        "InternalException",
        "InternalFailure",
        "RequestLimitExceeded",
        "ServiceUnavailable",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)

_random: Final = SystemRandom().random


class _BusAwayError(Exception):
    """A whole request was refused or not answered; the message says why."""


class EventBridgeBus:
    """``ports.events.EventBus`` on the bus of that name or ARN.

    ``sleep`` (seconds) and ``random`` (0 to 1) set the pauses between tries while it is busy.
    """

    def __init__(
        self,
        client: "EventBridgeClient",
        bus: str,
        telemetry: Telemetry,
        *,
        sleep: Callable[[float], None] = time.sleep,
        random: Callable[[], float] = _random,
    ) -> None:
        self._client = client
        self._bus = bus
        self._telemetry = telemetry
        self._sleep = sleep
        self._random = random

    def publish(self, announcements: Sequence[Announcement], deadline: Deadline) -> frozenset[str]:
        """Publish, and return the ids of those that may not have arrived.

        If the bus does not answer or refuses a whole request, the remaining events are not sent.
        """
        missed = {one.id for one in announcements if entry_size(one) > BYTES_MAX}
        for event_id in missed:
            self._telemetry.note("event_too_large", event_id=event_id)
        chunks = list(_chunks([one for one in announcements if one.id not in missed]))
        for number, chunk in enumerate(chunks):
            try:
                missed |= self._put(chunk, deadline)
            except _BusAwayError as error:
                rest = {one.id for later in chunks[number:] for one in later}
                self._telemetry.note("bus_away", reason=str(error), events=len(rest))
                return frozenset(missed | rest)
        return frozenset(missed)

    def _put(self, chunk: Sequence[Announcement], deadline: Deadline) -> set[str]:
        """The ids of those that the bus has not taken after a few tries."""
        waiting, refused = list(chunk), set()
        for pause in (*PAUSES_S, None):
            codes = self._codes(waiting, deadline)
            outcome = list(zip(waiting, codes, strict=True))
            waiting = [one for one, code in outcome if code in PASSING]
            for one, code in outcome:
                if code is not None and code not in PASSING:
                    self._telemetry.note("event_refused", event_id=one.id, code=code)
                    refused.add(one.id)
            if not waiting or pause is None:
                break
            self._sleep(pause * (1 - self._random() / 2))
        return refused | {one.id for one in waiting}

    def _codes(self, chunk: Sequence[Announcement], deadline: Deadline) -> list[str | None]:
        """Send once; returns the error code of each entry, ``None`` if the bus has taken it."""
        if deadline.remaining_ms() < CALL_MS:
            raise _BusAwayError("no time left")
        try:
            answer = self._client.put_events(Entries=[self._entry(one) for one in chunk])
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            if code not in PASSING:
                raise _BusAwayError(code) from error
            return [code] * len(chunk)
        except BotoCoreError as error:
            raise _BusAwayError(type(error).__name__) from error
        codes = [
            None if "EventId" in entry else entry.get("ErrorCode", "InternalFailure")
            for entry in answer["Entries"]
        ]
        # If the answer has fewer entries than were sent, the others may not have arrived.
        return [*codes, *["InternalFailure"] * len(chunk)][: len(chunk)]

    def _entry(self, announcement: Announcement) -> "PutEventsRequestEntryTypeDef":
        return {
            "EventBusName": self._bus,
            "Source": SOURCE,
            "DetailType": announcement.name,
            "Detail": _detail(announcement),
            "Time": datetime.fromtimestamp(announcement.at_ms // 1000, UTC),
        }


def entry_size(announcement: Announcement) -> int:
    """What AWS counts for an event (User Guide, "Calculating event entry size"), in bytes."""
    texts = (SOURCE, announcement.name, _detail(announcement))
    return TIME_BYTES + sum(len(text.encode()) for text in texts)


def _detail(announcement: Announcement) -> str:
    # In ASCII, so that half a surrogate pair in a caller's text cannot make the event unsendable.
    return json.dumps(announcement.detail, separators=(",", ":"))


def _chunks(announcements: Sequence[Announcement]) -> Iterator[list[Announcement]]:
    """The events in their order, in as few requests as AWS's limits allow."""
    chunk: list[Announcement] = []
    total = 0
    for one in announcements:
        size = entry_size(one)
        if chunk and (len(chunk) == ENTRIES_MAX or total + size > BYTES_MAX):
            yield chunk
            chunk, total = [], 0
        chunk.append(one)
        total += size
    if chunk:
        yield chunk
