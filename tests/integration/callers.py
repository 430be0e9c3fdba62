"""Callers who repeat with the same key until they get a final answer."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from urllib3.exceptions import HTTPError

from local.http_client import Answer, RefundApiClient

AT_ONCE = 6
PAUSE_SECONDS = 1.0
# Refused for good: nothing was executed under this key, nor will be.
REFUSED = (402, 412, 422)


@dataclass(frozen=True)
class Intent:
    """One refund that somebody wants."""

    key: str
    body: dict[str, Any]


@dataclass(frozen=True)
class End:
    """The final answer to a caller; no refund's id if it was refused."""

    status: str
    refund_id: str | None = None


@dataclass
class Callers:
    """All callers: those still waiting, the others' final answers, and every answer before that."""

    api: RefundApiClient
    open: list[Intent]
    ends: dict[str, End] = field(default_factory=dict)
    statuses: list[int] = field(default_factory=list)

    def ask_once(self, impatient: Sequence[Intent] = ()) -> None:
        """Every waiting caller asks once more; the impatient ones twice, at the same time."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(self._ask, [*self.open, *impatient]))
        self.open = [intent for intent in self.open if intent.key not in self.ends]

    def insist(self, at_most: float, done: Callable[[], bool]) -> None:
        """Ask again until every caller has a final answer and `done` is true."""
        deadline = time.monotonic() + at_most
        while (self.open or not done()) and time.monotonic() < deadline:
            self.ask_once()
            time.sleep(PAUSE_SECONDS)

    def _ask(self, intent: Intent) -> None:
        try:
            answer = self.api.create_refund(intent.key, **intent.body)
        except HTTPError:
            return
        self.statuses.append(answer.status)
        if end := end_of(answer):
            self.ends[intent.key] = end


def end_of(answer: Answer) -> End | None:
    """The final result in an answer, if it has one."""
    if answer.status in REFUSED:
        return End("refused")
    if answer.status not in (200, 201):
        return None
    status = str(answer.body["status"])
    return End(status, str(answer.body["id"])) if status in ("succeeded", "failed") else None
