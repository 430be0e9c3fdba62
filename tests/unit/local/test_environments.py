"""What the Makefile installs, and when. Nothing is installed here: make says what it would do."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from deployed import paths

EVERYTHING = ["uv", "dev", "sam", "emulator", "policy"]
MADE_BY_PYTHON = ".venv/bin/python3.11"
# What make looks at for each environment, oldest first.
INSTALLED = (
    MADE_BY_PYTHON,
    ".venv/bin/uv",
    ".venv/bin/refundctl",
    *(f".local/envs/{name}/installed" for name in ("functions", "sam", "emulator", "policy")),
)


class Checkout:
    """A folder with the Makefile and lock files, and a `python3` of a version that is told."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.variables: dict[str, str] = {}
        shutil.copy(paths.ROOT / "Makefile", folder)
        shutil.copytree(paths.ROOT / "requirements", folder / "requirements")
        for lock_file in (folder / "requirements").iterdir():
            os.utime(lock_file, (1000, 1000))
        self.has_python("3.11")

    def has_python(self, version: str) -> None:
        """`python3` prints ``version``, as the Makefile asks for it."""
        program = self._folder / "programs" / "python3"
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/sh\necho {version}\n")
        program.chmod(0o755)

    def is_installed(self) -> None:
        for seconds, name in enumerate(INSTALLED, 2000):
            file = self._folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("")
            os.utime(file, (seconds, seconds))

    def changes(self, name: str) -> None:
        os.utime(self._folder / name, (3000, 3000))

    def leads_nowhere(self, name: str) -> None:
        (self._folder / name).unlink()
        (self._folder / name).symlink_to(self._folder / "uninstalled")

    def cannot_make_environments(self) -> None:
        """`python3 -m venv` gives up half-way, as Debian's does without its package for pip."""
        program = self._folder / "programs" / "python3"
        half = "mkdir -p .venv/bin; ln -s /bin/sh .venv/bin/python3.11; exit 1"
        program.write_text(f'#!/bin/sh\n[ "$1" = -c ] && exec echo 3.11\n{half}\n')

    def make(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Say what make would run."""
        return self._run("-n", *words)

    def make_for_real(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self._run(*words)

    def _run(self, *words: str) -> subprocess.CompletedProcess[str]:
        # Nothing of the make that runs these tests: `make check PYTHON=python3.13` hands PYTHON on.
        programs = f"{self._folder / 'programs'}{os.pathsep}{os.environ['PATH']}"
        return subprocess.run(  # noqa: S603 - make, of this checkout
            (shutil.which("make") or "make", *words),
            cwd=self._folder,
            env={"PATH": programs} | self.variables,
            capture_output=True,
            text=True,
            check=False,
        )

    def commands(self, *words: str) -> list[str]:
        done = self.make(*words)
        assert done.returncode == 0, done.stderr
        return done.stdout.replace("\\\n", "").splitlines()

    def installs(self, *words: str) -> list[str]:
        """The environments that would be installed, in order."""
        said = 'echo "installing '
        return [
            line.removeprefix(said).rstrip('"')
            for line in self.commands(*words)
            if line.startswith(said)
        ]


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_a_fresh_clone_installs_everything_but_what_is_asked_for_by_name(
    checkout: Checkout,
) -> None:
    assert checkout.installs("env") == EVERYTHING
    assert checkout.installs("audit") == [*EVERYTHING, "audit"]
    assert checkout.installs("bench") == [*EVERYTHING, "bench"]


def test_what_is_installed_is_not_installed_again(checkout: Checkout) -> None:
    checkout.is_installed()
    assert checkout.commands("env") == [":"]


@pytest.mark.parametrize("name", ["sam", "emulator", "policy"])
def test_another_lock_file_installs_its_environment_again(checkout: Checkout, name: str) -> None:
    checkout.is_installed()
    checkout.changes(f"requirements/{name}.txt")
    assert checkout.installs("env") == [name]


def test_another_lock_of_what_we_develop_with_installs_it_again(checkout: Checkout) -> None:
    checkout.is_installed()
    checkout.changes("requirements/main.txt")
    assert checkout.installs("env") == ["dev"]


def test_another_interpreter_makes_all_environments_anew(checkout: Checkout) -> None:
    # Given environments of Python 3.11
    checkout.is_installed()
    # When python3 is another one
    checkout.has_python("3.12")
    # Then they are removed before anything is installed
    assert "rm -rf .venv .local/envs" in checkout.commands("env")
    assert checkout.installs("env") == EVERYTHING


def test_an_interpreter_that_is_gone_makes_all_environments_anew(checkout: Checkout) -> None:
    checkout.is_installed()
    checkout.leads_nowhere(MADE_BY_PYTHON)
    assert "rm -rf .venv .local/envs" in checkout.commands("env")
    assert checkout.installs("env") == EVERYTHING


def test_an_environment_that_was_left_half_made_is_made_anew(checkout: Checkout) -> None:
    checkout.cannot_make_environments()
    assert checkout.make_for_real("env").returncode != 0
    checkout.has_python("3.11")
    assert "python3 -I -m venv .venv" in checkout.commands("env")


def test_an_interpreter_that_is_too_old_is_refused(checkout: Checkout) -> None:
    checkout.has_python("")
    done = checkout.make("env")
    assert done.returncode != 0
    assert "Python 3.11 or newer is needed" in done.stderr


@pytest.mark.parametrize(
    ("variables", "index"),
    [
        ({"PIP_INDEX_URL": "the mirror"}, "the mirror"),
        ({"PIP_INDEX_URL": "the mirror", "UV_DEFAULT_INDEX": "another"}, "another"),
    ],
)
def test_the_mirror_of_pip_is_the_mirror_of_uv_unless_it_has_its_own(
    checkout: Checkout, variables: dict[str, str], index: str
) -> None:
    checkout.variables = variables
    told = checkout.make_for_real("--eval=tell: ; @printenv UV_DEFAULT_INDEX", "tell")
    assert told.stdout == f"{index}\n"


def test_the_functions_environment_is_empty() -> None:
    assert paths.executable(paths.FUNCTIONS_ENVIRONMENT, "python").exists()
    assert list(paths.FUNCTIONS_ENVIRONMENT.glob("lib/*/site-packages/*")) == []


def test_the_console_command_runs_from_anywhere_as_the_checkout_is(tmp_path: Path) -> None:
    # Given a folder whose modules are not to be taken for ours
    (tmp_path / "refundctl.py").write_text("raise SystemExit('the wrong one')\n")
    # When the command is run there
    launcher = paths.executable(paths.DEV_ENVIRONMENT, "refundctl")
    done = subprocess.run(  # noqa: S603 - the command of this checkout
        (launcher, "--help"), cwd=tmp_path, capture_output=True, text=True, check=False
    )
    # Then it hands everything over to the checkout's own module
    assert done.returncode == 0, done.stderr
    assert "usage: refundctl" in done.stdout
    assert f'PYTHONPATH="{paths.ROOT}:' in launcher.read_text()
