"""AWS's own commands in a fresh clone: `sam validate`, `sam build` and `sam deploy --guided`.

Nothing of ours was installed before: there is no `.venv`, and no uv. Only the target differs from
what a colleague would do: the embedded cloud instead of AWS, so the layers are built for this
machine. Every question is answered by Enter, except that the change set needs no confirmation.
"""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from deployed import paths
from deployed.live import LiveStack
from deployed.stages import load_stage
from deploying import release
from deploying.artifact_check import artifact_problems
from deploying.build import Build, this_machine
from deploying.deploy import api_url
from deploying.smoke import Smoke
from deploying.template_yaml import read_template
from local.emulator import running_emulator
from local.run_directory import run_directory

# Answers for the stack's name, the region and every parameter; for the confirmation; for the rest.
ANSWERS = "\n" * (2 + len(read_template(paths.TEMPLATE)["Parameters"])) + "n\n" + "\n" * 9


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The checkout as it is now, with what git keeps and nothing else."""
    listed = subprocess.run(  # noqa: S603 - git, of this checkout
        (
            shutil.which("git") or "git",
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ),
        cwd=paths.ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    fresh = tmp_path / "clone"
    for name in filter(None, listed.stdout.split("\0")):
        if (paths.ROOT / name).is_file():
            (fresh / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(paths.ROOT / name, fresh / name)
    return fresh


@pytest.fixture
def plain(tmp_path: Path) -> Mapping[str, str]:
    """The environment of a terminal: system programs and a Python with pip."""
    programs = tmp_path / "bin"
    programs.mkdir()
    python = paths.executable(paths.DEV_ENVIRONMENT, "python")
    (programs / "python3").write_text(f'#!/bin/sh\nexec "{python}" "$@"\n')
    (programs / "python3").chmod(0o755)
    inherited = {k: v for k, v in os.environ.items() if k.startswith(("PIP_", "SSL_", "HTTP"))}
    return inherited | {
        "PATH": f"{programs}:{os.defpath}",
        "HOME": str(tmp_path),
        "SAM_CLI_TELEMETRY": "0",
        "TARGET_PYTHON": this_machine().python,
        "TARGET_MACHINE": "",
    }


def test_the_three_commands_deploy_from_a_fresh_clone(
    clone: Path, plain: Mapping[str, str]
) -> None:
    def sam(*arguments: str, **more: str) -> None:
        program = paths.executable(paths.SAM_ENVIRONMENT, "sam")
        done = subprocess.run(  # noqa: S603 - the SAM CLI, as it is typed
            (program, *arguments),
            cwd=clone,
            env={**plain, **more},
            input=ANSWERS,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"sam {' '.join(arguments)}\n{done.stdout}\n{done.stderr}"

    stage = load_stage("sandbox")
    with run_directory() as directory, running_emulator(directory) as emulator:
        clients = emulator.clients()
        # When they are typed
        sam("validate", "--lint")
        sam("build")
        # And what is built is for the runtime, with no bytecode that Lambda could not use
        built = Build(clone / ".aws-sam" / "build", digest="")
        assert artifact_problems(built, this_machine()) == []
        sam("deploy", "--guided", **release._elsewhere(clients))
        # Then every function is live, and the API answers
        live = LiveStack(clients, stage.stack_name)
        assert [(live.version(name), live.behind(name)) for name in live.functions()] == [
            ("1", [])
        ] * 8
        address = api_url(clients, stage, release._outputs(clients, stage))
        smoke = Smoke(clients, stage, address, settle_function="")
        assert smoke.health()
        assert smoke.document()
