"""`make audit`: which of the pinned packages have known vulnerabilities?

Not part of `make test`: advisories are news, and are asked for over the network, so that the same
commit could pass today and fail tomorrow, or fail on a train. What a test can say without one it
says: every package is pinned by version and hash (`tests/unit/local/test_lock_files.py`).
"""

import subprocess
import sys

from local import paths
from local.lock import LOCKED

# What reaches AWS comes first; the rest is what we work with.
SHIPPED = "layers/dependencies/requirements"


def main() -> int:
    """Audit every lock file; returns how many have findings, or could not be asked about."""
    audited = (SHIPPED, *(name for name in LOCKED if name != SHIPPED))
    return sum(not _is_clean(name) for name in audited)


def _is_clean(name: str) -> bool:
    print(f"{name}.txt", flush=True)
    audit = paths.executable(paths.AUDIT_ENVIRONMENT, "pip-audit")
    # The lock says exactly what is installed, so nothing is resolved. Strict: a package that nobody
    # knows anything about is no package that is known to be well.
    how = ("--disable-pip", "--require-hashes", "--strict", "--progress-spinner", "off")
    command = (audit, *how, "-r", f"{name}.txt")
    return subprocess.run(command, cwd=paths.ROOT, check=False).returncode == 0


if __name__ == "__main__":
    sys.exit(main())
