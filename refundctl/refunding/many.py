"""`refundctl refund --from FILE`: many refunds, each exactly once, every row accounted for."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from refundctl import who
from refundctl.exits import Exit, MisusedError, RefusedError
from refundctl.facts import money
from refundctl.options import Call
from refundctl.refunding.asking import Result, Told, told_of
from refundctl.refunding.batch import KeyedRow, difference, keep, keyed
from refundctl.refunding.checking import NOT_CHECKED, check_all
from refundctl.refunding.csv_rows import read_rows
from refundctl.refunding.following import EVERY_S
from refundctl.refunding.results import ResultFile
from refundctl.refunding.sending import LEDGER_BATCH, Sending
from refundctl.refunding.service import Service
from refundctl.refunding.stopping import nothing_sent
from refunds.refund_object import refund_object


def refund_many(call: Call) -> Exit:
    """Refund the rows of a file, as the command line says."""
    asked, output = call.arguments, call.output
    _require_sense(call)
    file = asked.result or asked.file.with_name(f"{asked.file.stem}.result.csv")
    with nothing_sent(output):
        rows = _read(call)
        stored = call.world.batches.batch(asked.batch)
        differs = difference(rows, stored)
        for line in differs.lines(call.world) if differs else ():
            output.say(line)
        output.say(f"{asked.file}: {_sums(rows)}, batch {asked.batch}, at {call.world.deployment}.")
        if asked.dry_run:
            return _checked(call, rows, file)
        at = f"at {call.world.deployment}"
        question = (
            f"Send these {at}, though the batch held others?" if differs else f"Refund these {at}?"
        )
        if not asked.yes and not output.confirm(question):
            raise RefusedError("Nothing was sent.")
    with call.service() as service:
        with nothing_sent(output):
            keep(call.world, asked.batch, rows, stored, who.actor_of(call))
        results = ResultFile(file, rows)
        with _told_if_stopped(call, results, file), results:
            _send(call, service, rows, results)
            _follow(call, rows, results)
    return _ended(call, results, file)


def _read(call: Call) -> list[KeyedRow]:
    asked, stage = call.arguments, call.world.stage
    with call.output.progress("Reading the file", None):
        read = read_rows(asked.file)
        return keyed(read, asked.batch, stage, allow_equal=asked.allow_equal_rows)


@contextmanager
def _told_if_stopped(call: Call, results: ResultFile, file: Path) -> Iterator[None]:
    """Say how far it came, whatever ends it too early."""
    try:
        yield
    except BaseException:
        again = "run the same line again; it refunds nothing twice"
        call.output.say(f"{_counted(results.all)}. See {file}; {again}.")
        raise


def _require_sense(call: Call) -> None:
    asked = call.arguments
    if asked.batch is None:
        raise MisusedError("Name the batch: --batch NAME. Run again, it is the same batch.")
    alone = ("amount", "all", "currency", "reason", "key", "processor")
    given = [name for name in alone if getattr(asked, name)]
    if given:
        raise MisusedError(f"--{given[0]} is a column of the file.")
    if asked.result is not None and asked.result.resolve() == asked.file.resolve():
        raise MisusedError("--result would overwrite the file itself.")


def _checked(call: Call, rows: Sequence[KeyedRow], file: Path) -> Exit:
    with (
        ResultFile(file, rows, untold=NOT_CHECKED) as results,
        call.output.progress("Checking at Stripe and the processor", len(rows)) as advance,
    ):
        check_all(call.world, rows, results, advance, per_second=call.arguments.rate)
    return _ended(call, results, file)


def _send(call: Call, service: Service, rows: Sequence[KeyedRow], results: ResultFile) -> None:
    asked = call.arguments
    with call.output.progress("Refunding", len(rows)) as advance:
        sending = Sending(call.world, results, advance, call.output.say)
        left = sending.known(rows)
        sending.all(
            left,
            service,
            per_second=asked.rate,
            patience_s=asked.patience,
            sleep=call.sleep,
        )


def _follow(call: Call, rows: Sequence[KeyedRow], results: ResultFile) -> None:
    """Read again what is not final, until it is or the time for that is over."""
    world, asked = call.world, call.arguments
    open_rows = [one for one in rows if results.of(one).result is Result.PENDING]
    until_ms = world.clock.now_ms() + 1000 * asked.wait
    with call.output.progress("Waiting for what is pending", len(open_rows)) as advance:
        for _ in range(asked.wait // EVERY_S):
            # To look at many thousand takes longer than the pause between two looks.
            if not open_rows or world.clock.now_ms() > until_ms:
                return
            still: list[KeyedRow] = []
            for start in range(0, len(open_rows), LEDGER_BATCH):
                some = open_rows[start : start + LEDGER_BATCH]
                made = world.listing.refunds([one.refund_id for one in some])
                for row in some:
                    told = told_of(refund_object(made[row.refund_id], None))
                    if told.result is Result.PENDING:
                        still.append(row)
                        continue
                    results.put(row, told)
                    advance(1)
            open_rows = still
            if open_rows:
                call.sleep(EVERY_S)


def _ended(call: Call, results: ResultFile, file: Path) -> Exit:
    """Say what became of the rows; 0 only if every one is final, and as was wished or refused."""
    told = results.all
    counts = Counter(one.result for one in told.values())
    call.output.result(
        f"{call.world.deployment}: {_counted(told)}. See {file}.", _json(call, told, file)
    )
    if call.arguments.dry_run:
        return Exit.REFUSED if counts[Result.REFUSED] or counts[Result.UNKNOWN] else Exit.DONE
    if counts[Result.PENDING] or counts[Result.UNKNOWN]:
        call.output.say("Not every row is final: run the same line again.")
        return Exit.REFUSED
    return Exit.DONE


def _counted(told: Mapping[str, Told]) -> str:
    counts = Counter(one.result for one in told.values())
    said = ", ".join(f"{counts[one]} {one}" for one in Result if counts[one])
    return f"{len(told)} rows: {said}"


def _json(call: Call, told: Mapping[str, Told], file: Path) -> dict[str, Any]:
    counts = Counter(one.result for one in told.values())
    return {
        "stage": call.world.stage,
        "mode": call.world.mode.value,
        "batch": call.arguments.batch,
        "dry_run": call.arguments.dry_run,
        "rows": len(told),
        "results": {one.value: counts[one] for one in Result},
        "file": str(file),
    }


def _sums(rows: Sequence[KeyedRow]) -> str:
    amounts: Counter[str] = Counter()
    everything = 0
    for one in rows:
        wish = one.row.wish
        if wish.amount is None or wish.currency is None:
            everything += 1
        else:
            amounts[wish.currency] += wish.amount
    parts = [money(amount, currency) for currency, amount in sorted(amounts.items())]
    parts += [f"everything that is left of {everything}"] if everything else []
    return f"{len(rows)} refunds, {' and '.join(parts)}"
