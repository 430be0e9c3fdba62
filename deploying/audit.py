"""`make audit`: which of the pinned packages have known vulnerabilities?

Not part of `make test`: new advisories appear all the time, and are read over the network. The same
commit could pass today and fail tomorrow, or fail without a network. What a test can check without
one, it checks: every package is pinned by version and hash (`tests/unit/local/test_lock_files.py`).
"""

import subprocess
import sys
from pathlib import Path

from deployed import paths


def main() -> int:
    """Audit every lock file; returns how many have findings, or could not be asked about."""
    return sum(not _is_clean(lock_file) for lock_file in paths.LOCK_FILES)


def _is_clean(lock_file: Path) -> bool:
    print(lock_file.relative_to(paths.ROOT), flush=True)
    audit = paths.executable(paths.AUDIT_ENVIRONMENT, "pip-audit")
    # The lock file names exactly what is installed, so nothing is resolved. Strict: a package about
    # which nothing is known counts as a finding.
    how = ("--disable-pip", "--require-hashes", "--strict", "--progress-spinner", "off")
    command = (audit, *how, "-r", lock_file)
    return subprocess.run(command, cwd=paths.ROOT, check=False).returncode == 0


if __name__ == "__main__":
    sys.exit(main())
