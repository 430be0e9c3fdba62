"""What a command tells somebody to do can be pasted: it is for the same deployment."""

import os
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from deployed import paths
from deployed.command_lines import program, spelt
from refundctl.command import parser
from refundctl.options import Call
from refundctl.output import Output
from refundctl.target import Target
from tests.unit.refundctl.operator import TargetInMemory

LAUNCHER = paths.executable(paths.DEV_ENVIRONMENT, "refundctl")


@pytest.fixture
def call() -> Callable[[str], Call]:
    """A call as somebody wrote it."""
    target: Target = TargetInMemory({})
    return lambda line: Call(parser().parse_args(line.split()), target, Output(as_json=False))


@pytest.mark.parametrize(
    ("asked", "where"),
    [
        ("list", ""),
        ("list --local", ""),
        ("list --stage local", ""),
        ("list --stage production", " --stage production"),
        (f"doctor --stack-file {Path('/a/stack.json')}", " --stack-file /a/stack.json"),
        ("list --stage production --tz local", " --stage production --tz local"),
        ("list --tz Asia/Singapore", " --tz Asia/Singapore"),
    ],
)
def test_a_line_is_for_the_same_deployment(
    call: Callable[[str], Call], asked: str, where: str
) -> None:
    assert call(asked).line(spelt("dlq", "list", "--queue", "reports")) == (
        f"refundctl dlq list --queue reports{where}"
    )


def test_a_file_whose_name_has_a_blank_is_quoted(call: Callable[[str], Call]) -> None:
    asked = call("list --stack-file x")
    asked.arguments.stack_file = Path("/a file.json")
    assert asked.line(spelt("review")) == "refundctl review --stack-file '/a file.json'"


def test_what_others_wrote_is_one_word_and_runs_nothing(call: Callable[[str], Call]) -> None:
    given = "x; rm -rf $HOME `id` 'y'"
    line = call("list").line(spelt("resolve", "rfd_1", "--succeeded", given))
    assert shlex.split(line) == ["refundctl", "resolve", "rfd_1", "--succeeded", given]


def test_a_page_tells_a_line_for_a_shell_in_any_directory(
    call: Callable[[str], Call], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", os.defpath)
    line = call("console --stack-file my/stack.json").line_anywhere(spelt("list"))
    assert shlex.split(line) == [
        str(LAUNCHER),
        "list",
        "--stack-file",
        str(tmp_path / "my" / "stack.json"),
    ]


def test_the_program_is_called_by_where_it_is_unless_the_shell_finds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(paths.ROOT)
    assert program() == "refundctl"
    # Given a shell that finds another checkout's
    other = tmp_path / "refundctl"
    other.write_text("#!/bin/sh\n")
    other.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert program() == str(LAUNCHER.relative_to(paths.ROOT))
    assert program(anywhere=True) == str(LAUNCHER)
    # And from elsewhere
    monkeypatch.chdir(tmp_path)
    assert program() == str(LAUNCHER)
