"""Ctrl-C at every point of a file of refunds: it is said what was sent, and the line goes on."""

import errno
import getpass
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from refundctl.exits import Exit
from refundctl.output import Output, write_csv
from refundctl.refunding import checking, csv_rows
from refundctl.refunding import results as result_files
from refundctl.refunding.results import ResultFile
from refundctl.refunding.service import ServiceAnswer
from tests.fakes.processor_fates import RequestLost
from tests.fakes.service import InProcess
from tests.fakes.world import World
from tests.unit.refundctl.bulk import checked, line_of, paid, result_file, results, rows_of
from tests.unit.refundctl.operator import Ended, Operator
from tests.unit.refundctl.test_output import Terminal

NO_ANSWER = ServiceAnswer(0, {"error": {"code": "no_answer", "message": "no whole answer"}})
AT_MOST_S = 30
Patch = pytest.MonkeyPatch


@pytest.fixture(autouse=True)
def kim(monkeypatch: Patch) -> None:
    """Whose machine it is; one refund at a time, so that tests know which comes first."""
    monkeypatch.setattr(getpass, "getuser", lambda: "kim")
    monkeypatch.setattr("refundctl.refunding.sending.THREADS", 1)
    monkeypatch.setattr("refundctl.refunding.checking.THREADS", 1)


@pytest.fixture(autouse=True)
def a_keyboard() -> Iterator[None]:
    """As the program itself has it, also where a shell runs the tests in its background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def ctrl_c() -> None:
    """What a keyboard sends to this process."""
    os.kill(os.getpid(), signal.SIGINT)


def at_the(number: int, real: Callable[..., Any], act: Callable[[], object]) -> Callable[..., Any]:
    """It, but first something else is done at its n-th call."""
    calls = iter(range(1, 1000))

    def wrapped(*given: Any, **named: Any) -> Any:
        if next(calls) == number:
            act()
        return real(*given, **named)

    return wrapped


def pressed_and_told(patch: Patch, *, impatient: bool = False) -> Callable[[], object]:
    """Presses Ctrl-C while refunds are sent, and goes on when the operator has read of it.

    Whoever is impatient then presses it again.
    """
    said, say = Event(), Output.say

    def saying(output: Output, sentence: str) -> None:
        say(output, sentence)
        if sentence.startswith("Stopping"):
            if impatient:
                ctrl_c()
            said.set()

    def press() -> None:
        if not said.is_set():
            ctrl_c()
        assert said.wait(AT_MOST_S)

    patch.setattr(Output, "say", saying)
    return press


def while_reading(patch: Patch, _: Operator) -> None:
    patch.setattr(csv_rows, "_row", at_the(3, csv_rows._row, ctrl_c))


def while_the_batch_is_read(patch: Patch, operator: Operator) -> None:
    patch.setattr(operator.batches, "batch", at_the(1, operator.batches.batch, ctrl_c))


def while_asked(patch: Patch, _: Operator) -> None:
    patch.setattr(sys, "stdin", keyboard := Terminal())
    patch.setattr(keyboard, "readline", at_the(1, keyboard.readline, ctrl_c))


def while_the_batch_is_kept(patch: Patch, operator: Operator) -> None:
    patch.setattr(operator.batches, "keep", at_the(1, operator.batches.keep, ctrl_c))


def the_rest_is_done(operator: Operator, file: Path, world: World) -> None:
    """The same line, and each row is paid once and accounted for."""
    operator.done(line_of(file))
    assert paid(world) == [100, 200, 300, 400]
    assert [one["result"] for one in results(file)] == ["refunded"] * 4


def stopped(ended: Ended) -> str:
    """What somebody reads who has stopped it."""
    assert ended.exit_code == Exit.STOPPED
    assert ended.err.endswith("Stopped.\n")
    return ended.err


@pytest.mark.parametrize(
    "at", [while_reading, while_the_batch_is_read, while_asked, while_the_batch_is_kept]
)
def test_before_the_first_is_sent_nothing_is_and_a_former_result_stays(
    world: World,
    operator: Operator,
    service: InProcess,
    file: Path,
    monkeypatch: Patch,
    *,
    at: Callable[[Patch, Operator], None],
) -> None:
    result_file(file).write_text("a former result")
    with monkeypatch.context() as patch:
        at(patch, operator)
        told = stopped(operator(line_of(file, yes="" if at is while_asked else "--yes")))
    assert "This run has sent nothing." in told
    assert (service.asked, result_file(file).read_text()) == ([], "a former result")
    the_rest_is_done(operator, file, world)


def test_while_rows_are_checked_the_others_are_said_to_be_unchecked(
    world: World, operator: Operator, service: InProcess, file: Path, monkeypatch: Patch
) -> None:
    with monkeypatch.context() as patch:
        # What is being checked is the third; the keyboard interrupts the thread that waits for it.
        patch.setattr(checking, "_told", at_the(3, checking._told, ctrl_c))
        told = stopped(operator(line_of(file, "--dry-run")))
    assert "This run has sent nothing." in told
    assert [one["code"] for one in checked(file)] == ["checked"] * 2 + ["not_checked"] * 2
    assert service.asked == []
    the_rest_is_done(operator, file, world)


def test_while_the_ledger_is_asked_no_row_is_said_to_be_unsent_that_a_former_run_sent(
    world: World, operator: Operator, service: InProcess, file: Path, monkeypatch: Patch
) -> None:
    operator.done(line_of(file))
    asked = list(service.asked)
    with monkeypatch.context() as patch:
        patch.setattr("refundctl.refunding.sending.LEDGER_BATCH", 2)
        patch.setattr(world.listing, "refunds", at_the(2, world.listing.refunds, ctrl_c))
        told = stopped(operator(line_of(file)))
    assert f"4 rows: 2 refunded, 2 unknown. See {result_file(file)}" in told
    assert [one["code"] for one in results(file)] == ["", "", "not_looked_up", "not_looked_up"]
    assert service.asked == asked
    the_rest_is_done(operator, file, world)


def test_while_refunds_are_sent_those_under_way_are_waited_for_however_often_it_is_pressed(
    world: World, operator: Operator, service: InProcess, file: Path, monkeypatch: Patch
) -> None:
    # Given a third refund that is under way until the operator has been told so, and impatience
    with monkeypatch.context() as patch:
        service.mishaps = [None, None, pressed_and_told(patch, impatient=True)]
        told = stopped(operator(line_of(file)))
    assert "Stopping: 1 under way are waited for, 35 seconds at most." in told
    assert "4 rows: 3 refunded, 1 unknown." in told
    assert "run the same line again; it refunds nothing twice" in told
    assert [one["code"] for one in results(file)] == ["", "", "", "not_sent"]
    assert paid(world) == [100, 200, 300]
    the_rest_is_done(operator, file, world)


def test_while_a_refund_is_asked_for_again_it_is_not_said_to_be_unsent(
    world: World, operator: Operator, service: InProcess, file: Path, monkeypatch: Patch
) -> None:
    # Given a third whose answer is lost, and Ctrl-C in the pause before it is asked for again
    service.mishaps = [None, None, NO_ANSWER]
    with monkeypatch.context() as patch:
        pressed = pressed_and_told(patch)
        operator.sleep = lambda _: pressed()
        stopped(operator(line_of(file)))
    assert [one["code"] for one in results(file)] == ["", "", "no_answer", "not_sent"]
    operator.sleep = lambda _: None
    the_rest_is_done(operator, file, world)


def test_an_interrupt_that_nobody_holds_back_says_of_no_row_that_it_was_unsent(
    world: World, operator: Operator, service: InProcess, file: Path
) -> None:
    # Given an interrupt that comes as an exception in the middle of what asks
    def torn() -> None:
        raise KeyboardInterrupt

    service.mishaps = [None, None, torn]
    stopped(operator(line_of(file)))
    assert [one["code"] for one in results(file)] == ["", "", "no_answer_yet", "not_sent"]
    the_rest_is_done(operator, file, world)


def test_while_pending_ones_are_followed_they_are_pending(
    world: World, operator: Operator, service: InProcess, file: Path
) -> None:
    world.processor.fates.append(RequestLost())
    sleep, operator.sleep = operator.sleep, lambda _: ctrl_c()
    told = stopped(operator(line_of(file)))
    assert "3 refunded, 1 pending" in told
    rows = results(file)
    assert [one["result"] for one in rows] == ["pending"] + ["refunded"] * 3
    assert rows[0]["refund"] in world.ledger.refunds
    # And the same line asks for none of them as another refund
    operator.sleep = sleep
    operator(line_of(file))
    assert sorted(world.ledger.refunds) == sorted(one["refund"] for one in rows)


def test_while_the_result_is_written_it_is_written_whole(
    world: World, operator: Operator, service: InProcess, file: Path, monkeypatch: Patch
) -> None:
    # Given a first row that is pending since before: a line of it comes after those of the others
    world.processor.fates.append(RequestLost())
    operator(line_of(file, "--wait 0"))
    with monkeypatch.context() as patch:
        # Four lines come one by one, and then the whole.
        patch.setattr(result_files, "_line", at_the(6, result_files._line, ctrl_c))
        told = stopped(operator(line_of(file, "--wait 0")))
    assert "4 rows: 3 refunded, 1 pending." in told
    assert [one["line"] for one in results(file)] == ["2", "3", "4", "5"]
    assert sorted(one.name for one in file.parent.iterdir()) == ["march.csv", "march.result.csv"]


def full() -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_disk_that_is_full_at_the_end_leaves_the_lines_that_came_one_by_one(
    world: World, operator: Operator, service: InProcess, file: Path, monkeypatch: Patch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(result_files, "write_csv", at_the(1, write_csv, full))
        ended = operator(line_of(file))
    assert ended.exit_code == Exit.REFUSED
    assert "cannot be written: No space left on device." in ended.err
    assert [one["result"] for one in results(file)] == ["refunded"] * 4
    assert sorted(one.name for one in file.parent.iterdir()) == ["march.csv", "march.result.csv"]
    the_rest_is_done(operator, file, world)


def test_a_full_disk_stops_it_and_is_said(
    world: World, operator: Operator, service: InProcess, file: Path, monkeypatch: Patch
) -> None:
    with monkeypatch.context() as patch:
        # The header is the first line.
        patch.setattr(ResultFile, "_put", at_the(3, ResultFile._put, full))
        ended = operator(line_of(file))
    assert ended.exit_code == Exit.REFUSED
    assert f"{result_file(file)} cannot be written: No space left on device." in ended.err
    assert "2 refunded" in ended.err
    assert [one["code"] for one in results(file)][:2] == ["", ""]
    the_rest_is_done(operator, file, world)


def test_a_dry_run_leaves_what_became_of_the_rows_and_tells_it_again(
    operator: Operator, service: InProcess, file: Path
) -> None:
    operator.done(line_of(file))
    before = result_file(file).read_text()
    operator.done(line_of(file, "--dry-run"))
    assert result_file(file).read_text() == before
    assert [one["result"] for one in checked(file)] == ["refunded"] * 4
    assert [one["refund"] for one in checked(file)] == [one["refund"] for one in results(file)]


class KilledError(BaseException):
    """Stands for an end after which nothing is done any more."""


def test_a_kill_leaves_the_former_result_and_the_lines_of_every_killed_run(
    operator: Operator, service: InProcess, file: Path, monkeypatch: Patch
) -> None:
    # Given a result, and two runs of the same line, killed before a second and a first line of rows
    service.mishaps = [NO_ANSWER]
    operator(line_of(file, "--patience 0"))
    former, put = result_file(file).read_text(), ResultFile._put

    def killed() -> None:
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(ResultFile, "__exit__", lambda made, *_: made._open.close())
        for number in (3, 1):
            patch.setattr(ResultFile, "_put", at_the(number, put, killed))
            with pytest.raises(KilledError):
                operator(line_of(file))
    # Then the former result is as it was, and what they knew stands beside it
    assert result_file(file).read_text() == former
    part = result_files.part_of(result_file(file))
    assert [one["line"] for one in rows_of(part)] == ["3"]
    # And the run that comes to its end leaves the result alone
    operator.done(line_of(file))
    assert not part.exists()
    assert [one["result"] for one in results(file)] == ["refunded"] * 4


def test_a_full_disk_leaves_the_former_result_and_the_lines_beside_it(
    operator: Operator, service: InProcess, file: Path, monkeypatch: Patch
) -> None:
    operator.done(line_of(file))
    former = result_file(file).read_text()
    with monkeypatch.context() as patch:
        patch.setattr(result_files, "write_csv", at_the(1, write_csv, full))
        assert operator(line_of(file)).exit_code == Exit.REFUSED
    assert result_file(file).read_text() == former
    part = result_files.part_of(result_file(file))
    assert [one["result"] for one in rows_of(part)] == ["refunded"] * 4
