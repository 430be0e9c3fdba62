"""The machine of a measurement: without it the numbers mean nothing."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from deployed import paths

PACKAGES = ("aws-lambda-powertools", "boto3", "pydantic", "stripe", "urllib3")


def facts() -> dict[str, Any]:
    """Describe this machine, its load and the versions of what is measured."""
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "processor": _processor(),
        "processors": os.cpu_count(),
        "memory_mb": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20,
        "load_average": [round(load, 2) for load in os.getloadavg()],
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _commit() -> str:
    asked = ("git", "describe", "--always", "--dirty", "--abbrev=12")
    answer = subprocess.run(asked, cwd=paths.ROOT, capture_output=True, text=True, check=False)
    return answer.stdout.strip()
