"""The audit of the pinned packages: all of them, and what could not be audited is no success."""

from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from deployed import paths
from deploying import audit


class Auditor:
    """Stands in for pip-audit: some lock files have findings."""

    def __init__(self, *findings: str) -> None:
        self.findings = findings
        self.asked: list[tuple[str, ...]] = []

    def __call__(self, command: tuple[Any, ...], *, cwd: Path, check: bool) -> Any:
        words = tuple(map(str, command))
        self.asked.append(words)
        return CompletedProcess(words, int(words[-1] in self.findings))


def test_every_lock_file_is_audited_what_is_shipped_first(monkeypatch: pytest.MonkeyPatch) -> None:
    auditor = Auditor()
    monkeypatch.setattr("subprocess.run", auditor)
    assert audit.main() == 0
    files = [words[-1] for words in auditor.asked]
    assert files[0] == str(paths.LAYER_LOCK)
    assert files == [str(lock_file) for lock_file in paths.LOCK_FILES]
    assert len(files) > 1
    assert all("--strict" in words and "--require-hashes" in words for words in auditor.asked)


def test_a_finding_does_not_hide_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    auditor = Auditor(str(paths.LOCK_FILES[0]), str(paths.LOCK_FILES[1]))
    monkeypatch.setattr("subprocess.run", auditor)
    assert audit.main() == 2
    assert len(auditor.asked) == len(paths.LOCK_FILES)
