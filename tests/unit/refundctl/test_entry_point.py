"""The program as a person and a pipe have it: in a process, at a terminal of 80 or 200 columns."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from deployed import paths
from refundctl.command import version_of
from refundctl.exits import Exit
from tests.unit.refundctl.at_a_desk import MANY, NEXT
from tests.unit.refundctl.told_lines import require_pastable

pytestmark = pytest.mark.heavy  # each process takes a second to start

LAUNCHER = paths.executable(paths.DEV_ENVIRONMENT, "refundctl")
DESK = (sys.executable, "-m", "tests.unit.refundctl.at_a_desk")
IDS = re.compile(r"(?:rfd|mov|pr|charge)[_-][a-z0-9]+")
COLOUR = "\x1b["
# A process takes a second to start, so one shows all of them.
LINES = ("list", "show lost", "review", "find order-0")
ALL_LINES = f" {NEXT} ".join(LINES)


def environment(**more: str) -> dict[str, str]:
    """What a shell hands down; nothing in it says how wide it is, or who signs in to AWS."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    where = f"{paths.ROOT}{os.pathsep}{paths.ROOT / 'layers' / 'product'}"
    return {**kept, "PYTHONPATH": where, "TERM": "xterm-256color", **more}


def at_terminal(line: str, *, columns: int, **more: str) -> str:
    """What a terminal so wide shows of a command that is done."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    running = subprocess.Popen(  # noqa: S603 - our own program
        [*DESK, *line.split()],
        cwd=paths.ROOT,
        env=environment(**more),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    shown = b""
    while more_of_it := _read(ours):
        shown += more_of_it
    os.close(ours)
    assert running.wait() == Exit.DONE, shown
    return shown.decode().replace("\r\n", "\n")


def by_line(shown: str) -> dict[str, str]:
    """What each of the lines showed."""
    return dict(zip(LINES, shown.split(f"{NEXT}\n"), strict=True))


def text(shown: str) -> str:
    """What stays of it on the screen: no progress that was wiped away, no marks of style."""
    return re.sub(r".*\r", "", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown))


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:  # as Linux says that nobody has it open any more
        return b""


def piped(command: str, **more: str) -> subprocess.CompletedProcess[str]:
    """A line of a shell, in which `refundctl` is the desk's; ends as its first program does."""
    line = command.replace("refundctl", " ".join(DESK), 1)
    return subprocess.run(  # noqa: S603 - our own program
        ["/bin/bash", "-c", f"{line}; exit ${{PIPESTATUS[0]}}"],
        cwd=paths.ROOT,
        env=environment(**more),
        check=False,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )


@pytest.fixture(scope="module")
def plain() -> dict[str, str]:
    """What a pipe gets of each line."""
    return by_line(piped(f"refundctl {ALL_LINES}").stdout)


@pytest.fixture(scope="module")
def narrow() -> dict[str, str]:
    """What a terminal of 80 columns shows of each line to somebody who wants no colours."""
    return by_line(at_terminal(ALL_LINES, columns=80, NO_COLOR="1"))


@pytest.fixture(scope="module")
def wide() -> dict[str, str]:
    """What a terminal of 200 columns shows of each line, in colours."""
    return by_line(at_terminal(ALL_LINES, columns=200))


@pytest.mark.parametrize("line", ["list", "show lost", "review"])
def test_no_id_is_folded_however_narrow_the_terminal(
    plain: dict[str, str], narrow: dict[str, str], line: str
) -> None:
    ids = set(IDS.findall(plain[line]))
    assert ids
    assert ids <= set(IDS.findall(narrow[line]))
    require_pastable(narrow[line], "")


def test_80_columns_get_records_and_200_a_table(
    narrow: dict[str, str], wide: dict[str, str]
) -> None:
    assert re.search(r"^id: rfd_", text(narrow["find order-0"]), re.MULTILINE)
    (row,) = (one for one in text(wide["find order-0"]).splitlines() if "rfd_" in one)
    assert row.startswith("rfd_")
    assert "SGD 0.01" in row


def test_states_have_colours_at_a_terminal_unless_nobody_wants_them(
    plain: dict[str, str], narrow: dict[str, str], wide: dict[str, str]
) -> None:
    assert f"{COLOUR}32msucceeded" in wide["list"]
    assert f"{COLOUR}32m" not in narrow["list"]
    assert COLOUR not in plain["list"]


def test_who_reads_no_further_ends_it_quietly() -> None:
    ended = piped("refundctl list --json --limit 1000 | head -1", REFUNDS=str(MANY))
    assert ended.stdout.count("\n") == 1
    assert (ended.returncode, ended.stderr) == (Exit.UNREAD, "")


@pytest.mark.parametrize("line", ["list", "completion zsh"])
def test_a_full_disk_is_said_in_one_sentence(line: str) -> None:
    ended = piped(f"refundctl {line} >/dev/full")
    assert ended.returncode == Exit.REFUSED
    assert ended.stderr == "The result could not be written: No space left on device.\n"


def launched(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """The launcher itself, as somebody types it."""
    return subprocess.run(  # noqa: S603 - our own program
        [LAUNCHER, *arguments],
        cwd=paths.ROOT,
        env=environment(**more),
        check=False,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )


def test_the_launcher_says_its_version_and_what_may_be_meant() -> None:
    assert launched("--version").stdout == f"refundctl {version_of()}\n"
    wrong = launched("lsit")
    assert (wrong.returncode, wrong.stdout) == (Exit.MISUSED, "")
    assert "Did you mean list?" in wrong.stderr


def test_whoever_is_not_signed_in_is_told_of_the_profile(tmp_path: Path) -> None:
    nobody = {"HOME": str(tmp_path), "AWS_EC2_METADATA_DISABLED": "true"}
    for more in ({}, {"AWS_PROFILE": "nobody"}):
        ended = launched("list", "--stage", "sandbox", **nobody, **more)
        assert (ended.returncode, ended.stdout) == (Exit.UNREACHABLE, "")
        assert "export AWS_PROFILE=NAME" in ended.stderr
        assert ended.stderr.count("\n") == 1
