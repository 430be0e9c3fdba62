"""`refundctl refund --from FILE`: many refunds, each exactly once, with a result for every row."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from refund_bridge.contract.refund_object import refund_object
from refundctl import who
from refundctl.exits import Exit, MisusedError, RefusedError
from refundctl.facts import money
from refundctl.options import Call
from refundctl.refunding.asking import Result, Told, told_of
from refundctl.refunding.batch import KeyedRow, difference, keep, keyed
from refundctl.refunding.checking import NOT_CHECKED, check_all
from refundctl.refunding.csv_rows import read_rows
from refundctl.refunding.everything import fixed
from refundctl.refunding.following import EVERY_S
from refundctl.refunding.results import ResultFile
from refundctl.refunding.sending import LEDGER_BATCH, Sending
from refundctl.refunding.service import Service
from refundctl.refunding.stopping import nothing_sent


def refund_many(call: Call) -> Exit:
    """Refund the rows of a file, as the command line says."""
    asked, output = call.arguments, call.output
    _require_sense(call)
    file = _result_file(call)
    with nothing_sent(output):
        rows = _read(call)
        stored = call.world.batches.batch(asked.batch)
        differs = difference(rows, stored)
        for line in differs.lines(call.world) if differs else ():
            output.say(line)
        at = f"at {call.world.deployment}"
        if asked.dry_run:
            output.say(f"{asked.file}: {_sums(rows)}, batch {asked.batch}, {at}.")
            return _checked(call, rows, file)
        if differs and asked.yes and not asked.changed:
            raise RefusedError(
                "Nothing was sent: look at what is different, and say --changed beside --yes."
            )
        rows, left_out = _fixed(call, rows)
        output.say(f"{asked.file}: {_sums(rows)}, batch {asked.batch}, {at}.")
        if left_out:
            output.say(f"Of these {len(left_out)} cannot be sent; the result file says why.")
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
            for row in rows:
                if row.refund_id in left_out:
                    results.put(row, left_out[row.refund_id])
            fit = [one for one in rows if one.refund_id not in left_out]
            replayed = _send(call, service, fit, results)
            _follow(call, rows, results)
    return _ended(call, results, file, replayed)


def _result_file(call: Call) -> Path:
    """The file of results; a dry run has another one, so that it never replaces real results."""
    asked = call.arguments
    kind = "checked" if asked.dry_run else "result"
    named: Path | None = asked.result
    file: Path = asked.file
    return named or file.with_name(f"{file.stem}.{kind}.csv")


def _fixed(call: Call, rows: Sequence[KeyedRow]) -> tuple[list[KeyedRow], Mapping[str, Told]]:
    """The rows, each with a fixed amount."""
    with call.output.progress("Reading what is left", len(rows)) as advance:
        return fixed(call.world, rows, advance, per_second=call.arguments.rate)


def _read(call: Call) -> list[KeyedRow]:
    asked, stage = call.arguments, call.world.stage
    with call.output.progress("Reading the file", None):
        read = read_rows(asked.file)
        return keyed(read, asked.batch, stage, allow_equal=asked.allow_equal_rows)


@contextmanager
def _told_if_stopped(call: Call, results: ResultFile, file: Path) -> Iterator[None]:
    """If the run ends too early, for whatever reason, say how far it came."""
    try:
        yield
    except BaseException:
        again = "run the same line again; it refunds nothing twice"
        call.output.say(f"{_counted(results.all)}. See {file}; {again}.")
        raise


def _require_sense(call: Call) -> None:
    asked = call.arguments
    if asked.batch is None:
        raise MisusedError("Name the batch: --batch NAME. Use the same name if you run it again.")
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
    return _ended(call, results, file, 0)


def _send(call: Call, service: Service, rows: Sequence[KeyedRow], results: ResultFile) -> int:
    """Send the rows without a final result in the ledger; returns how many have one."""
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
    return len(rows) - len(left)


def _follow(call: Call, rows: Sequence[KeyedRow], results: ResultFile) -> None:
    """Read pending refunds again until they are final or the time for waiting is over."""
    world, asked = call.world, call.arguments
    open_rows = [one for one in rows if results.of(one).result is Result.PENDING]
    until_ms = world.clock.now_ms() + 1000 * asked.wait
    with call.output.progress("Waiting for what is pending", len(open_rows)) as advance:
        for _ in range(asked.wait // EVERY_S):
            # Reading many thousand refunds takes longer than the pause between two rounds.
            if not open_rows or world.clock.now_ms() > until_ms:
                return
            still: list[KeyedRow] = []
            for start in range(0, len(open_rows), LEDGER_BATCH):
                some = open_rows[start : start + LEDGER_BATCH]
                made = world.listing.refunds([one.refund_id for one in some])
                for row in some:
                    refund = made.get(row.refund_id)
                    # A restored ledger may lack a refund that the service told us of.
                    told = results.of(row)
                    if refund is not None:
                        told = told_of(refund_object(refund, None))
                    if told.result is Result.PENDING:
                        still.append(row)
                        continue
                    results.put(row, told)
                    advance(1)
            open_rows = still
            if open_rows:
                call.sleep(EVERY_S)


def _ended(call: Call, results: ResultFile, file: Path, replayed: int) -> Exit:
    """Say what became of the rows; exit code 0 only if every row is final (a refused one is)."""
    told = results.all
    counts = Counter(one.result for one in told.values())
    said = f"{call.world.deployment}: {_counted(told)}. See {file}."
    call.output.result(said, _json(call, told, file, replayed))
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


def _json(call: Call, told: Mapping[str, Told], file: Path, replayed: int) -> dict[str, Any]:
    counts = Counter(one.result for one in told.values())
    return {
        "stage": call.world.stage,
        "mode": call.world.mode.value,
        "batch": call.arguments.batch,
        "dry_run": call.arguments.dry_run,
        "rows": len(told),
        "results": {one.value: counts[one] for one in Result},
        "replayed": replayed,
        "file": str(file),
    }


def _sums(rows: Sequence[KeyedRow]) -> str:
    amounts: Counter[str] = Counter()
    left: Counter[str] = Counter()
    for one in rows:
        wish = one.wish
        if wish.amount is not None and wish.currency is not None:
            amounts[wish.currency] += wish.amount
            left[wish.currency] += wish.amount if one.row.wish.amount is None else 0
    parts = [_money_of(amounts)] if amounts else []
    everything = sum(one.row.wish.amount is None for one in rows)
    if everything:
        fixed_sum = f" ({_money_of(+left)})" if +left else ""
        parts.append(f"with everything that is left of {everything}{fixed_sum}")
    return f"{len(rows)} refunds, {', '.join(parts)}"


def _money_of(amounts: Mapping[str, int]) -> str:
    return " and ".join(money(amount, currency) for currency, amount in sorted(amounts.items()))
