"""The calls to the simulators, in order, without any credential."""

from collections import deque
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from local.simulators.calls import ApiCall
from local.simulators.clock import Clock
from local.simulators.json_text import JsonObject

CAPACITY = 20_000


@dataclass
class Entry:
    """One API call. Status None: nothing was answered (yet). Processed: the desk acted on it."""

    number: int
    at: str
    monotonic_ms: int
    provider: str
    operation: str
    method: str
    path: str
    parameters: JsonObject
    idempotency_key: str | None
    status: int | None = None
    fault: str | None = None
    processed: bool = False
    replayed: bool = False
    finished: bool = False
    duration_ms: int = 0


class Journal:
    """The newest calls of all simulators in one sequence, so that their order can be seen."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._entries: deque[Entry] = deque(maxlen=CAPACITY)
        self._number = 0

    def open(self, provider: str, call: ApiCall) -> Entry:
        """Note that a call has arrived."""
        self._number += 1
        entry = Entry(
            number=self._number,
            at=datetime.now(UTC).isoformat(timespec="milliseconds"),
            monotonic_ms=self._now_ms(),
            provider=provider,
            operation=call.operation,
            method=call.method,
            path=call.path,
            parameters=call.parameters,
            idempotency_key=call.headers.get("Idempotency-Key"),
        )
        self._entries.append(entry)
        return entry

    def close(self, entry: Entry, status: int | None) -> None:
        """Note how a call ended; status None means without an answer."""
        entry.status = status
        entry.finished = True
        entry.duration_ms = self._now_ms() - entry.monotonic_ms

    def entries(self, provider: str | None = None, operation: str | None = None) -> list[Entry]:
        """Return the calls, oldest first, of one provider or operation or of all."""
        return [
            entry
            for entry in self._entries
            if provider in (None, entry.provider) and operation in (None, entry.operation)
        ]

    def clear(self, provider: str) -> None:
        """Forget the calls of one provider."""
        kept = [entry for entry in self._entries if entry.provider != provider]
        self._entries = deque(kept, maxlen=CAPACITY)

    def _now_ms(self) -> int:
        return round(self._clock.monotonic() * 1000)


def as_json(entry: Entry) -> JsonObject:
    """Return an entry as the control API shows it."""
    return asdict(entry)
