"""A shell's AWS CLI is led to the stack that runs on this machine, and away from AWS."""

import json
import subprocess
from pathlib import Path

import pytest

from local.aws_environment import FACTS, main


def test_a_shell_that_takes_the_lines_speaks_to_the_local_stack(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Given a stack whose facts need quotes, and a shell that is signed in to AWS
    file = tmp_path / "stack.json"
    told = {fact: f"{fact} of 'here' $HOME" for fact in FACTS.values()}
    file.write_text(json.dumps(told))
    # When the shell takes what is printed
    assert main([str(file)]) == 0
    lines = capsys.readouterr().out
    done = subprocess.run(  # noqa: S603 - our own lines
        ["/bin/sh", "-c", f"{lines}\nenv"],
        env={"AWS_PROFILE": "production", "AWS_SESSION_TOKEN": "t", "PATH": "/usr/bin:/bin"},
        check=True,
        capture_output=True,
        text=True,
    )
    # Then it has these, and nothing that leads elsewhere
    found = dict(line.split("=", 1) for line in done.stdout.splitlines() if line[:4] == "AWS_")
    assert found == {name: told[fact] for name, fact in FACTS.items()}


def test_where_nothing_runs_it_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "stack.json")]) == 1
    captured = capsys.readouterr()
    assert (captured.out, "make run" in captured.err) == ("", True)
