"""Ask for the refunds of a batch: some at the same time, at a limited rate, each until its result
is known.

Refunds whose final result is in the ledger are not asked for again. After Ctrl-C, requests under
way are waited for, and the other rows get the result "not sent". Ctrl-C interrupts no request: it
only sets a flag here.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from threading import Event
from typing import Final

from refund_bridge.adapters.providers.pace import Pace
from refund_bridge.contract.refund_object import refund_object
from refund_bridge.domain.errors import IdempotencyKeyReusedError
from refundctl.exits import UnreachableError
from refundctl.output import Advance
from refundctl.refunding.asking import (
    NO_ANSWER_YET,
    NOT_SENT,
    Asking,
    NotTakenError,
    Result,
    Told,
    told_of,
)
from refundctl.refunding.batch import KeyedRow
from refundctl.refunding.results import ResultFile
from refundctl.refunding.service import ANSWER_MS, Service
from refundctl.refunding.stopping import held_back
from refundctl.world import World

Asked = Future[tuple[KeyedRow, Told | NotTakenError]]

THREADS: Final = 6
LEDGER_BATCH: Final = 100
# After this many rows in a row without an answer, the rest is not tried.
SILENT_MAX: Final = 12
# Ctrl-C is noticed within this time.
NOTICE_S: Final = 1


@dataclass
class Sending:
    """Sends rows, and writes the result of each.

    Attributes:
        say: tells a person.
        stop: once set, no more rows are sent.
    """

    world: World
    results: ResultFile
    advance: Advance
    say: Callable[[str], object]
    stop: Event = field(default_factory=Event)

    def known(self, rows: Sequence[KeyedRow]) -> list[KeyedRow]:
        """The rows without a final result in the ledger; the results of the others are written."""
        left = []
        for start in range(0, len(rows), LEDGER_BATCH):
            some = rows[start : start + LEDGER_BATCH]
            made = self.world.listing.refunds([one.refund_id for one in some])
            for row in some:
                refund = made.get(row.refund_id)
                told = None if refund is None else told_of(refund_object(refund, None))
                if refund and told and told.result.is_final and row.wish.is_of(refund):
                    self._tell(row, told)
                else:
                    self.results.note(row, told or NOT_SENT)
                    left.append(row)
        return left

    def all(
        self,
        rows: Sequence[KeyedRow],
        service: Service,
        *,
        per_second: int,
        patience_s: int,
        sleep: Callable[[float], object],
    ) -> None:
        """Ask for each row.

        Raises:
            UnreachableError: the operator's key is refused, the address takes no refunds, or the
                service gives no more answers; the rest is not sent.
            KeyboardInterrupt: somebody pressed Ctrl-C; the requests under way have ended.
        """
        pace = Pace(per_second)

        def pause(seconds: float) -> None:
            for _ in range(round(seconds)):
                if not self.stop.is_set():
                    sleep(1)

        asking = Asking(service, patience_s, is_over=self.stop.is_set, sleep=pause)

        def ask(row: KeyedRow) -> tuple[KeyedRow, Told | NotTakenError]:
            pace.wait()
            try:
                return row, self._of_everything(row, asking(row.key, row.wish))
            except NotTakenError as refused:
                return row, refused

        def begin(row: KeyedRow) -> Asked:
            if self.results.of(row) is NOT_SENT:
                self.results.note(row, NO_ANSWER_YET)
            return pool.submit(ask, row)

        with ThreadPoolExecutor(THREADS, "refund") as pool, held_back(self.stop.set):
            try:
                self._work(iter(rows), begin)
            except NotTakenError as refused:
                raise UnreachableError(f"{refused} The rest was not sent.") from refused

    def _of_everything(self, row: KeyedRow, told: Told) -> Told:
        """The result of a row that says `all`, if its key names a refund of another amount.

        Another run may have made that refund for this row meanwhile, when more or less was left:
        then it is the row's own.
        """
        if row.row.wish.amount is not None or told.code != IdempotencyKeyReusedError.code:
            return told
        made = self.world.ledger.refund(row.refund_id)
        is_own = made is not None and row.wish.with_amount_of(made).is_of(made)
        return told_of(refund_object(made, None)) if made is not None and is_own else told

    def _work(self, waiting: Iterator[KeyedRow], begin: Callable[[KeyedRow], Asked]) -> None:
        silent = 0
        under_way = {begin(row) for row in islice(waiting, THREADS)}
        try:
            while under_way and not self.stop.is_set():
                done = wait(under_way, NOTICE_S, return_when=FIRST_COMPLETED).done
                for one in done:
                    told = self._account(one)
                    under_way.discard(one)
                    silent = silent + 1 if told.result is Result.UNKNOWN else 0
                _require_answers(silent)
                under_way |= {begin(row) for row in islice(waiting, len(done))}
        finally:
            self._end(under_way)

    def _end(self, under_way: Collection[Asked]) -> None:
        """Send no more rows, wait for the requests under way, and write their results."""
        self.stop.set()
        if under_way:
            self.say(
                f"Stopping: {len(under_way)} under way are waited for, "
                f"{ANSWER_MS // 1000} seconds at most."
            )
        for one in wait(under_way).done:
            with suppress(NotTakenError):
                self._account(one)

    def _account(self, asked: Asked) -> Told:
        """Write the result of a row.

        Raises:
            NotTakenError: the service refused the operator's key or every request; that is written,
                too.
        """
        row, answer = asked.result()
        told = answer.told if isinstance(answer, NotTakenError) else answer
        before = self.results.of(row)
        # The ledger has the refund as pending: a missing answer does not make it unknown.
        is_known = told.result is Result.UNKNOWN and before.result is Result.PENDING
        self._tell(row, before if is_known else told)
        if isinstance(answer, NotTakenError):
            raise answer
        return told

    def _tell(self, row: KeyedRow, told: Told) -> None:
        self.results.put(row, told)
        self.advance(1)


def _require_answers(silent: int) -> None:
    if silent >= SILENT_MAX:
        raise UnreachableError("The service does not answer any more; the rest was not sent.")
