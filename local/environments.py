"""Install the project's environments, each at exactly the versions and hashes of its lock file.

Run as `python3 -m local.environments [name ...]` by any Python from 3.11, before anything is
installed: only the standard library may be imported here. Up to date costs a few milliseconds.
"""

import fcntl
import hashlib
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from local import paths

OLDEST = (3, 11)
REQUIREMENTS = paths.ROOT / "requirements"


@dataclass(frozen=True)
class Environment:
    """One virtual environment: where it is, what locks it, what it is for."""

    name: str
    directory: Path
    lock_file: Path | None
    purpose: str


ENVIRONMENTS = (
    Environment("dev", paths.DEV_ENVIRONMENT, REQUIREMENTS / "dev.txt", "tests, lint and tools"),
    Environment("sam", paths.SAM_ENVIRONMENT, REQUIREMENTS / "sam.txt", "the SAM CLI"),
    Environment(
        "emulator", paths.EMULATOR_ENVIRONMENT, REQUIREMENTS / "emulator.txt", "the embedded cloud"
    ),
    Environment("functions", paths.FUNCTIONS_ENVIRONMENT, None, "an empty one for the functions"),
    Environment(
        "policy", paths.POLICY_ENVIRONMENT, REQUIREMENTS / "policy.txt", "the policy scanner"
    ),
)
# Only for who asks by name: `make bench`, `make audit`.
ON_DEMAND = (
    Environment("audit", paths.AUDIT_ENVIRONMENT, REQUIREMENTS / "audit.txt", "the audit"),
    Environment("bench", paths.BENCH_ENVIRONMENT, REQUIREMENTS / "bench.txt", "the benchmarks"),
)


def main(names: list[str]) -> int:
    """Bring the named environments (by default all that are not on demand) up to date."""
    if sys.version_info < OLDEST:
        print(f"Python {OLDEST[0]}.{OLDEST[1]} or newer is needed; this is {sys.version}")
        return 1
    wanted = [e for e in (*ENVIRONMENTS, *ON_DEMAND) if e.name in names] if names else ENVIRONMENTS
    with _one_at_a_time():
        stale = [e for e in wanted if _stamp(e) != _wanted_stamp(e)]
        for number, environment in enumerate(stale, 1):
            what = f"{environment.name}: {environment.purpose}"
            print(f"[{number}/{len(stale)}] installing {what}", flush=True)
            started = time.monotonic()
            _install(environment)
            print(f"      done in {time.monotonic() - started:.1f} s", flush=True)
        if any(e.name == "dev" for e in wanted):
            _write_launcher()
    return 0


def _install(environment: Environment) -> None:
    stamp_file = environment.directory / "installed"
    stamp_file.unlink(missing_ok=True)
    if environment.lock_file is None:
        _create(environment.directory, "--without-pip")
    elif environment.name == "dev":
        _create(environment.directory)
        _run(
            *(paths.executable(environment.directory, "python"), "-m", "pip", "install"),
            *("--quiet", "--disable-pip-version-check", "--require-hashes"),
            *("--only-binary", ":all:"),
            *("-r", REQUIREMENTS / "uv.txt"),
        )
        _sync(environment.directory, environment.lock_file)
    else:
        _create(environment.directory, "--without-pip")
        _sync(environment.directory, environment.lock_file)
    stamp_file.write_text(_wanted_stamp(environment))


def _write_launcher() -> None:
    """Put `refundctl` beside the other programs, to be run from anywhere.

    Two lines of shell instead of an installed package: nothing has to be built, and it runs the
    checkout as it is now.
    """
    launcher = paths.executable(paths.DEV_ENVIRONMENT, "refundctl")
    where = shlex.quote(f"{paths.ROOT}:{paths.ROOT / 'layers' / 'refunds'}")
    python = shlex.quote(str(paths.executable(paths.DEV_ENVIRONMENT, "python")))
    text = f'#!/bin/sh\nPYTHONPATH={where} exec {python} -P -m refundctl "$@"\n'
    if not launcher.is_file() or launcher.read_text() != text:
        draft = launcher.with_name("refundctl.draft")
        draft.write_text(text)
        draft.chmod(0o755)
        draft.replace(launcher)


def _create(directory: Path, *options: str) -> None:
    """Make the environment, from nothing if another interpreter made it or it was left broken."""
    marker = directory / "interpreter"
    if marker.is_file() and marker.read_text() == _interpreter():
        return
    if directory.exists():
        shutil.rmtree(directory)
    _run(sys.executable, "-m", "venv", *options, directory)
    marker.write_text(_interpreter())


def _sync(directory: Path, lock_file: Path) -> None:
    # Into a terminal uv draws its progress; into a file it would list a hundred packages.
    how_loud = () if sys.stderr.isatty() else ("--quiet",)
    _run(
        *(paths.executable(paths.DEV_ENVIRONMENT, "uv"), "pip", "sync", *how_loud),
        # A source distribution would run its author's code here while it is built.
        *("--require-hashes", "--only-binary", ":all:"),
        *("--python", paths.executable(directory, "python"), lock_file),
    )


def _run(*command: str | Path) -> None:
    settings = {"UV_PYTHON_DOWNLOADS": "never", "UV_NO_CONFIG": "1", "PYTHONPATH": ""}
    # Hard links need one file system; copying instead is no failure worth a warning.
    settings["UV_LINK_MODE"] = os.environ.get("UV_LINK_MODE", "copy")
    # pip's mirror, if the house has one, is meant for uv as well, which would not look there.
    if mirror := os.environ.get("PIP_INDEX_URL"):
        settings.setdefault("UV_DEFAULT_INDEX", os.environ.get("UV_DEFAULT_INDEX", mirror))
    environment = {k: v for k, v in os.environ.items() if k not in ("VIRTUAL_ENV", "PYTHONHOME")}
    finished = subprocess.run(command, env=environment | settings, check=False)
    if finished.returncode != 0:
        sys.exit(f"failed ({finished.returncode}): {' '.join(map(str, command))}")


def _interpreter() -> str:
    return f"{os.path.realpath(sys.executable)} {sys.version}"


def _wanted_stamp(environment: Environment) -> str:
    lock = environment.lock_file.read_bytes() if environment.lock_file else b""
    return hashlib.sha256(lock + _interpreter().encode()).hexdigest()


def _stamp(environment: Environment) -> str | None:
    try:
        return (environment.directory / "installed").read_text()
    except FileNotFoundError:
        return None


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Hold the lock of this checkout, so that two commands started together install once."""
    paths.LOCAL.mkdir(exist_ok=True)
    with paths.ENVIRONMENTS_LOCK.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("another command is installing; waiting for it", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
