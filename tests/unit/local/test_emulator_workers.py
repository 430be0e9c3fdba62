"""How the emulator's function workers are started, on stand-ins for MiniStack's own code."""

import os
import sys
import threading
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from local import emulator_process


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    module: Any = ModuleType("lambda_runtime")
    monkeypatch.setitem(sys.modules, "ministack.core.lambda_runtime", module)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return module


def archive(path: Path, text: str) -> str:
    with zipfile.ZipFile(path, "w") as output:
        output.writestr("python/module.py", text)
    return str(path)


def unpack(runtime: Any, file: str, directory: Path) -> Path:
    """What MiniStack does with each archive of each worker."""
    directory.mkdir()
    with runtime.zipfile.ZipFile(file) as opened:
        assert [name for name in opened.namelist() if ".." in name] == []
        opened.extractall(str(directory))
    return directory / "python" / "module.py"


def test_workers_share_what_an_archive_unpacks_to(runtime: Any, tmp_path: Path) -> None:
    emulator_process.share_what_workers_unpack()
    first = unpack(runtime, archive(tmp_path / "1.zip", "ONE"), tmp_path / "worker_1")
    second = unpack(runtime, archive(tmp_path / "2.zip", "ONE"), tmp_path / "worker_2")
    assert first.read_text() == "ONE"
    assert first.resolve() == second.resolve()


def test_other_contents_are_other_files(runtime: Any, tmp_path: Path) -> None:
    emulator_process.share_what_workers_unpack()
    first = unpack(runtime, archive(tmp_path / "1.zip", "ONE"), tmp_path / "worker_1")
    second = unpack(runtime, archive(tmp_path / "2.zip", "TWO"), tmp_path / "worker_2")
    assert (first.read_text(), second.read_text()) == ("ONE", "TWO")


def test_a_burst_of_cold_starts_queues_up(runtime: Any) -> None:
    together, most = 0, 0
    lock = threading.Lock()
    full = threading.Event()

    class Worker:
        def _spawn(self) -> None:
            nonlocal together, most
            with lock:
                together += 1
                most = max(most, together)
                if together >= (os.cpu_count() or 1):
                    full.set()
            full.wait(5)
            with lock:
                together -= 1

    runtime.Worker = Worker
    emulator_process.start_no_more_workers_at_once_than_there_are_processors()
    threads = [threading.Thread(target=Worker()._spawn) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 1 <= most <= (os.cpu_count() or 1)
