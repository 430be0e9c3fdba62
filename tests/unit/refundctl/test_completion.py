"""Shells complete commands, options and values, from scripts that are made from the parser."""

import argparse
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from refundctl.command import main, parser
from refundctl.completion import places, script
from refundctl.exits import Exit

SHELLS = ("bash", "zsh", "fish")
# The words of a line, the last one as far as it is typed, and what is among what is offered.
TYPED = [
    (["refundctl", "wit"], {"withdraw"}),
    (["refundctl", "--v"], {"--version"}),
    (["refundctl", "dlq", ""], {"list", "replay", "discard"}),
    (["refundctl", "dlq", "list", "--que"], {"--queue"}),
    (["refundctl", "dlq", "list", "--queue", "re"], {"reports", "requests"}),
    (["refundctl", "list", "--report", "fa"], {"failed"}),
    (["refundctl", "list", "--stage", "production", "--tz", "UTC", "--taken"], {"--taken-back"}),
    (["refundctl", "secrets", "set", "stripe"], {"stripe-secret-key"}),
    (["refundctl", "completion", ""], set(SHELLS)),
]


def text(shell: str) -> str:
    return "\n".join(script(argparse.Namespace(shell=shell), parser()))


def in_bash(words: list[str], where: Path) -> set[str]:
    """What bash offers."""
    asked = f"""
        COMP_WORDS=({shlex.join(words)})
        COMP_CWORD={len(words) - 1}
        _refundctl
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    bash = shutil.which("bash") or "bash"
    done = subprocess.run(  # noqa: S603 - our own script
        [bash, "--norc", "-c", text("bash") + asked],
        cwd=where,
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stderr == ""
    return set(done.stdout.split())


@pytest.mark.parametrize(("words", "offered"), TYPED)
def test_bash_offers_what_can_follow(words: list[str], offered: set[str], tmp_path: Path) -> None:
    found = in_bash(words, tmp_path)
    assert offered <= found
    assert all(one.startswith(words[-1]) for one in found)


def test_bash_offers_files_where_one_is_meant_and_nothing_where_nobody_knows(
    tmp_path: Path,
) -> None:
    (tmp_path / "differences.csv").touch()
    line = ["refundctl", "reconcile"]
    assert in_bash([*line, "--csv", "diff"], tmp_path) == {"differences.csv"}
    assert in_bash([*line, "--since", ""], tmp_path) == set()


def test_bash_is_not_misled_by_a_value_that_is_called_like_a_command(tmp_path: Path) -> None:
    line = ["refundctl", "list", "--reason", "dlq", "--taken"]
    assert in_bash(line, tmp_path) == {"--taken-back"}


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_take_their_script(shell: str, tmp_path: Path) -> None:
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"there is no {shell} here")
    file = tmp_path / "script"
    file.write_text(text(shell))
    done = subprocess.run(  # noqa: S603 - our own script
        [program, "-n", file], check=False, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(("words", "offered"), TYPED)
def test_fish_offers_what_can_follow(words: list[str], offered: set[str], tmp_path: Path) -> None:
    program = shutil.which("fish")
    if program is None:
        pytest.skip("there is no fish here")
    asked = f"{text('fish')}\ncomplete -C {shlex.quote(' '.join(words))}"
    done = subprocess.run(  # noqa: S603 - our own script
        [program, "--no-config", "-c", asked],
        cwd=tmp_path,
        env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stderr == ""
    assert offered <= {line.partition("\t")[0] for line in done.stdout.splitlines()}


@pytest.mark.parametrize("shell", SHELLS)
def test_every_command_and_option_is_known_to_every_shell(shell: str) -> None:
    made = text(shell)
    for place in places(parser()):
        for word in place.words:
            assert word in made
        for option in place.options:
            for name in option.names:
                assert name.lstrip("-") in made


@pytest.mark.parametrize("shell", SHELLS)
def test_it_needs_no_deployment(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    def nowhere(*_: object) -> None:
        raise AssertionError("a deployment was looked for")

    assert main(["completion", shell], nowhere) == Exit.DONE  # type: ignore[arg-type]
    assert capsys.readouterr().out.rstrip("\n") == text(shell)


def test_another_shell_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["completion", "bsh"])
    assert ended.value.code == Exit.MISUSED
    assert "Did you mean bash?" in capsys.readouterr().err
