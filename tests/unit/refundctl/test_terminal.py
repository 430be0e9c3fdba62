"""What a terminal shows at 80 and 200 columns, what a pipe gets, and what a wrong line is told."""

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from refundctl.command import main, version_of
from refundctl.exits import Exit
from refundctl.output import Output
from tests.fakes.world import World
from tests.unit.refundctl.operator import Operator
from tests.unit.refundctl.test_output import Terminal

ID = "rfd_" + "a" * 32
RECORD = "pr_" + "b" * 40


def show() -> None:
    row = (ID, "failed", "SGD 25.00", RECORD)
    Output(as_json=False).table(("id", "state", "amount", "payment"), [row], None, empty="")


def shown_at(columns: int, monkeypatch: pytest.MonkeyPatch, **environment: str) -> str:
    """What a terminal that can show colours shows."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    told = {"TERM": "xterm-256color", "COLUMNS": str(columns)}
    for name, value in {**told, **environment}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "stdout", watched := Terminal())
    show()
    return watched.getvalue()


def test_a_wide_terminal_shows_a_table_with_colours_for_states(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shown = shown_at(200, monkeypatch)
    assert len(shown.splitlines()) == 2
    assert ID in shown
    assert "\x1b[31mfailed" in shown


def test_a_narrow_one_shows_records_and_folds_no_id(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = shown_at(80, monkeypatch, NO_COLOR="1")
    lines = shown.splitlines()
    assert len(lines) == 4
    assert lines[0].endswith(ID)
    assert lines[3].endswith(RECORD)
    assert "\x1b[31m" not in shown


def test_a_pipe_gets_whole_lines_and_no_colour(capsys: pytest.CaptureFixture[str]) -> None:
    show()
    header, row = capsys.readouterr().out.splitlines()
    assert header.split() == ["id", "state", "amount", "payment"]
    assert (row.split()[0], row.split()[-1]) == (ID, RECORD)
    assert "\x1b" not in row


def test_whoever_reads_no_further_ends_it_quietly(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody_reads(*_: object, **__: object) -> None:
        raise BrokenPipeError

    quiet: list[bool] = []
    monkeypatch.setattr(Output, "table", nobody_reads)
    monkeypatch.setattr("refundctl.command.end_quietly", lambda: quiet.append(True))
    ended = operator("list")
    assert (ended.exit_code, ended.err, quiet) == (Exit.UNREAD, "", [True])


@pytest.mark.parametrize(
    "line", ["export --since 1d --output", "reconcile --since 1d --charges 0 --csv"]
)
def test_a_file_that_cannot_be_written_is_said_in_one_sentence(
    world: World, operator: Operator, tmp_path: Path, line: str
) -> None:
    ended = operator(f"{line} {tmp_path}/nowhere/x.csv")
    assert ended.exit_code == Exit.REFUSED
    assert "cannot be written: No such file or directory." in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        (["lsit"], "list"),
        (["list", "--stauts", "failed"], "--status"),
        (["dlq", "lits"], "list"),
    ],
)
def test_a_wrong_word_is_told_what_may_be_meant(
    line: Sequence[str], meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(line)
    assert ended.value.code == Exit.MISUSED
    assert f"Did you mean {meant}?" in capsys.readouterr().err


def test_no_option_is_taken_for_a_longer_one(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["refund", "pr_1", "--al"])
    assert ended.value.code == Exit.MISUSED
    assert "unrecognized arguments: --al" in capsys.readouterr().err


def test_it_says_its_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == Exit.DONE
    assert capsys.readouterr().out == f"refundctl {version_of()}\n"
