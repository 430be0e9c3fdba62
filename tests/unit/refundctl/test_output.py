"""What is said, asked and shown: the result on stdout, everything else on stderr."""

import io
import sys

import pytest

from refundctl.output import Output


class Terminal(io.StringIO):
    """Somebody sits at it."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("answer", "agreed"),
    [("y\n", True), ("Yes\n", True), ("\n", False), ("n\n", False), ("yep\n", False), ("", False)],
)
def test_only_yes_is_yes(
    answer: str, agreed: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    assert Output(as_json=True).confirm("Write this?") is agreed
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "Write this? [y/N] ")


def test_nobody_has_agreed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    assert Output(as_json=False).confirm("Write this?") is False
    assert "--yes" in capsys.readouterr().err


def test_a_bar_is_drawn_for_those_who_watch_and_for_nobody_else(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with Output(as_json=False).progress("Looking", 3) as advance:
        advance(2)
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr(sys, "stderr", watched := Terminal())
    with Output(as_json=False).progress("Looking", 3) as advance:
        advance(2)
    assert "Looking" in watched.getvalue()
    assert "2/3" in watched.getvalue()
    assert capsys.readouterr().out == ""


def test_ids_are_not_broken_where_something_else_reads_them(
    capsys: pytest.CaptureFixture[str],
) -> None:
    ids = ["rfd_" + "a" * 32, "b" * 36, "pr_" + "c" * 60, "d" * 36]
    Output(as_json=False).table(("a", "b", "c", "d"), [ids], None, empty="")
    assert capsys.readouterr().out.splitlines()[1].split() == ids


def test_a_line_that_is_there_to_be_copied_is_not_broken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Given a terminal that is narrower than the line
    monkeypatch.setattr(sys, "stdout", narrow := Terminal())
    monkeypatch.setenv("COLUMNS", "40")
    line = "  refundctl dlq replay --queue reports --all --stage production"
    Output(as_json=False).page(["What to do", line], None)
    assert narrow.getvalue().splitlines() == ["What to do", line]
