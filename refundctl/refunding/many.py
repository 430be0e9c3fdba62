"""`refundctl refund --from FILE`: many refunds, each exactly once, every row accounted for."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from refundctl import who
from refundctl.exits import Exit, MisusedError, RefusedError, UnreachableError
from refundctl.facts import money
from refundctl.options import Call
from refundctl.refunding.asking import Result, Told, told_of
from refundctl.refunding.batch import KeyedRow, difference, keep, keyed
from refundctl.refunding.checking import check_all
from refundctl.refunding.csv_rows import read_rows
from refundctl.refunding.following import EVERY_S
from refundctl.refunding.results import ResultFile
from refundctl.refunding.sending import LEDGER_BATCH, Sending
from refunds.refund_object import refund_object


def refund_many(call: Call) -> Exit:
    """Refund the rows of a file, as the command line says."""
    asked, output = call.arguments, call.output
    _require_sense(call)
    with output.progress("Reading the file", None):
        rows = keyed(
            read_rows(asked.file),
            asked.batch,
            call.world.stage,
            allow_equal=asked.allow_equal_rows,
        )
    stored = call.world.batches.batch(asked.batch)
    differs = difference(rows, stored)
    for line in differs.lines(call.world) if differs else ():
        output.say(line)
    output.say(f"{asked.file}: {_sums(rows)}, batch {asked.batch}.")
    result = asked.result or asked.file.with_name(f"{asked.file.stem}.result.csv")
    if asked.dry_run:
        with ResultFile(result, rows) as results:
            _checked(call, rows, results)
        return _ended(call, results, result)
    question = "Send these, though the batch held others?" if differs else "Refund these?"
    if not asked.yes and not output.confirm(question):
        raise RefusedError("Nothing was sent.")
    keep(call.world, asked.batch, rows, stored, who.actor_of(call))
    with ResultFile(result, rows) as results:
        try:
            _send(call, rows, results)
        except (KeyboardInterrupt, UnreachableError):
            output.say(f"{_counted(results.all)}. See {result}; run the same line again.")
            raise
    return _ended(call, results, result)


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


def _checked(call: Call, rows: Sequence[KeyedRow], results: ResultFile) -> None:
    with call.output.progress("Checking at Stripe and the processor", len(rows)) as advance:
        check_all(call.world, rows, results, advance, per_second=call.arguments.rate)


def _send(call: Call, rows: Sequence[KeyedRow], results: ResultFile) -> None:
    asked = call.arguments
    with call.service() as service, call.output.progress("Refunding", len(rows)) as advance:
        sending = Sending(call.world, results, advance)
        left = sending.known(rows)
        sending.all(
            left,
            service,
            per_second=asked.rate,
            patience_s=asked.patience,
            sleep=call.sleep,
        )
    _follow(call, rows, results)


def _follow(call: Call, rows: Sequence[KeyedRow], results: ResultFile) -> None:
    """Read again what is not final, until it is or the time for that is over."""
    world, asked = call.world, call.arguments
    open_rows = [one for one in rows if results.of(one).result is Result.PENDING]
    with call.output.progress("Waiting for what is pending", len(open_rows)) as advance:
        for _ in range(asked.wait // EVERY_S):
            if not open_rows:
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
    call.output.result(f"{_counted(told)}. See {file}.", _json(call, told, file))
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
