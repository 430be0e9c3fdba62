"""Where things are. The only file that knows the layout of the checkout and of `.local/`."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TEMPLATE = ROOT / "template.yaml"
MONITORING = ROOT / "monitoring" / "template.yaml"
SAM_CONFIG = ROOT / "samconfig.toml"

LAYER_LOCK = ROOT / "layers" / "dependencies" / "requirements.txt"
LOCK_FILES = (LAYER_LOCK, *sorted((ROOT / "requirements").glob("*.txt")))
"""What `make lock` pins; first what is shipped to AWS."""

LOCAL = ROOT / ".local"
"""All that the tools write, beside `.venv`. Deleting it loses time and nothing else."""

BUILDS = LOCAL / "build"
PACKED = BUILDS / "packed"
"""Links to what was packed into an archive, named by the archive's SHA-256 digest."""

RUNS = LOCAL / "runs"
LAST_LOGS = LOCAL / "logs"
STACK_FILE = LOCAL / "stack.json"


# With another interpreter (make check PYTHON=python3.13) there are separate environments,
# `.venv-python3.13` and so on. A program that runs in one sees that by its prefix; to a program
# that makes one, make passes the name.
_PREFIX = Path(sys.prefix)
_NAME = _PREFIX.name if _PREFIX.parent == ROOT else ".venv" + os.environ.get("ENVIRONMENTS_OF", "")
_OWN = _NAME.removeprefix(".venv")

DEV_ENVIRONMENT = ROOT / f".venv{_OWN}"
EMULATOR_ENVIRONMENT = LOCAL / f"envs{_OWN}" / "emulator"
SAM_ENVIRONMENT = LOCAL / f"envs{_OWN}" / "sam"
BENCH_ENVIRONMENT = LOCAL / f"envs{_OWN}" / "bench"
POLICY_ENVIRONMENT = LOCAL / f"envs{_OWN}" / "policy"
AUDIT_ENVIRONMENT = LOCAL / f"envs{_OWN}" / "audit"
FUNCTIONS_ENVIRONMENT = LOCAL / f"envs{_OWN}" / "functions"
"""Empty on purpose: the interpreter of the functions, which get all their packages from layers."""


def executable(environment: Path, name: str) -> Path:
    """The path of a program inside a virtual environment."""
    return environment / "bin" / name
