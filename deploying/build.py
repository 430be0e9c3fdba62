"""Build the template with the SAM CLI for one target, once per content.

A build is stored in `.local/build/<target>-<digest of everything that went into it>` and never
changed once it is complete: several runs may use it while another run builds.
"""

import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from deployed import paths
from deployed.stages import Stage, load_stage

SOURCES = ("functions", "layers", "monitoring")
KEPT_BUILDS = 3
MACHINES = {"arm64": "aarch64", "x86_64": "x86_64"}


class BuildError(RuntimeError):
    """`sam` failed; the message has its output."""


@dataclass(frozen=True)
class Target:
    """Where the built code will run.

    Attributes:
        machine: the machine type that libraries are for, as Linux names it; empty: this machine's.
        compiler: an interpreter of exactly that Python version; without one no bytecode is made.
    """

    python: str
    architecture: str
    machine: str
    compiler: Path | None

    @property
    def runtime(self) -> str:
        """Lambda's name of the Python version."""
        return f"python{self.python}"

    @property
    def name(self) -> str:
        """A short name, unique among the targets of one machine."""
        return f"{self.python}-{self.architecture}{'' if self.machine else '-here'}"


@dataclass(frozen=True)
class Build:
    """A complete build: `template.yaml` and one directory per function and layer."""

    directory: Path
    digest: str

    @property
    def template(self) -> Path:
        """The template, its code properties pointing into the build."""
        return self.directory / "template.yaml"


def this_machine() -> Target:
    """Target the interpreter that runs this: the emulator uses no other for the functions."""
    architecture = "arm64" if platform.machine().lower() in ("arm64", "aarch64") else "x86_64"
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    return Target(version, architecture, "", Path(sys.executable))


def aws(stage: Stage) -> Target:
    """Target the runtime and architecture of a stage."""
    python = stage.parameters["Runtime"].removeprefix("python")
    architecture = stage.parameters["Architecture"]
    return Target(python, architecture, MACHINES[architecture], _interpreter(python))


def build(target: Target, stage: Stage) -> Build:
    """Return the build of the sources as they are now; make it first if there is none yet."""
    digest = _digest_of_sources(target)
    directory = paths.BUILDS / f"{target.name}-{digest[:16]}"
    complete = directory / "complete"
    if not complete.is_file():
        paths.BUILDS.mkdir(parents=True, exist_ok=True)
        with (paths.BUILDS / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not complete.is_file():
                _sam_build(target, stage, directory)
                _remove_old_builds(target, keep=directory)
                complete.write_text(_digest_of_tree(directory))
    return Build(directory, complete.read_text())


def _sam_build(target: Target, stage: Stage, directory: Path) -> None:
    recipes = b"".join(path.read_bytes() for path in sorted(paths.ROOT.glob("layers/*/Makefile")))
    # SAM's cache depends only on each source directory, not on the tools and recipes that build it.
    cache = hashlib.sha256(recipes + f"{target}{sys.version}".encode()).hexdigest()[:12]
    cache_directory = paths.BUILDS / f"cache-{target.name}-{cache}"
    _remove(path for path in paths.BUILDS.glob(f"cache-{target.name}-*") if path != cache_directory)
    _remove([directory])
    settings = {
        "UV": str(paths.executable(paths.DEV_ENVIRONMENT, "uv")),
        "TARGET_PYTHON": target.python,
        "TARGET_MACHINE": target.machine,
        "COMPILE_PYTHON": str(target.compiler or ""),
    }
    values = stage.parameters | {"BuildDigest": "0" * 64}
    sam(
        *("build", "--template-file", str(paths.TEMPLATE), "--build-dir", str(directory)),
        *("--cached", "--cache-dir", str(cache_directory)),
        *("--region", stage.region, "--config-file", str(paths.SAM_CONFIG)),
        *("--config-env", stage.name, "--parameter-overrides", *overrides(values)),
        settings=settings,
    )


def overrides(values: Mapping[str, str]) -> list[str]:
    """Write parameters as `sam` reads them: for `sam`, a value ends at a space outside quotes."""
    return [
        f"{name}={value}" if value and " " not in value else f'{name}="{value}"'
        for name, value in values.items()
    ]


def sam(*arguments: str, settings: dict[str, str] | None = None, shown: bool = False) -> None:
    """Run the SAM CLI; its output is shown, or becomes the error's message if it fails."""
    # MAKEFLAGS: under `make test` the layers' Makefiles would inherit the options of our Makefile.
    inherited = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS")}
    finished = subprocess.run(
        [str(paths.executable(paths.SAM_ENVIRONMENT, "sam")), *arguments],
        cwd=paths.ROOT,
        env=inherited | {"SAM_CLI_TELEMETRY": "0"} | (settings or {}),
        stdout=None if shown else subprocess.PIPE,
        stderr=None if shown else subprocess.STDOUT,
        text=True,
        check=False,
    )
    if finished.returncode != 0:
        raise BuildError(f"sam {arguments[0]} failed:\n{finished.stdout or '(see above)'}")


def _interpreter(python: str) -> Path | None:
    """Find an interpreter of exactly that Python version."""
    program = paths.ROOT / "local" / "find_python.sh"
    asked = ("sh", str(program), f"python{python}")
    answer = subprocess.run(asked, capture_output=True, text=True, check=False)
    return Path(answer.stdout.strip()) if answer.returncode == 0 else None


def _digest_of_sources(target: Target) -> str:
    digest = hashlib.sha256(f"{target}{sys.version}".encode())
    for path in [paths.TEMPLATE, *(p for name in SOURCES for p in _files(paths.ROOT / name))]:
        digest.update(f"{path.relative_to(paths.ROOT)}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _digest_of_tree(directory: Path) -> str:
    digest = hashlib.sha256()
    for path in _files(directory):
        digest.update(f"{path.relative_to(directory)}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _files(directory: Path) -> Iterator[Path]:
    for path in sorted(directory.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path


def _remove_old_builds(target: Target, keep: Path) -> None:
    """Remove old builds, but keep the last few: another run may be using one."""
    builds = [p for p in paths.BUILDS.glob(f"{target.name}-*") if p.is_dir() and p != keep]
    builds.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    _remove(builds[KEPT_BUILDS:])


def _remove(directories: Iterable[Path]) -> None:
    for directory in directories:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    print(build(this_machine(), load_stage("local")).directory)
