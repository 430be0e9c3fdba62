"""Where things are. The only file that knows the layout of the checkout and of `.local/`."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TEMPLATE = ROOT / "template.yaml"
SAM_CONFIG = ROOT / "samconfig.toml"

LOCAL = ROOT / ".local"
"""All that the tools write, beside `.venv`. Deleting it loses time and nothing else."""

BUILDS = LOCAL / "build"
RUNS = LOCAL / "runs"
LAST_LOGS = LOCAL / "logs"
STACK_FILE = LOCAL / "stack.json"
ENVIRONMENTS_LOCK = LOCAL / "environments.lock"

DEV_ENVIRONMENT = ROOT / ".venv"
EMULATOR_ENVIRONMENT = LOCAL / "envs" / "emulator"
SAM_ENVIRONMENT = LOCAL / "envs" / "sam"
BENCH_ENVIRONMENT = LOCAL / "envs" / "bench"
POLICY_ENVIRONMENT = LOCAL / "envs" / "policy"
AUDIT_ENVIRONMENT = LOCAL / "envs" / "audit"
FUNCTIONS_ENVIRONMENT = LOCAL / "envs" / "functions"
"""Empty on purpose: the interpreter of the functions, which get all their packages from layers."""


def executable(environment: Path, name: str) -> Path:
    """Name a program inside a virtual environment."""
    return environment / "bin" / name
