import sys
from pathlib import Path

import pytest

from local import environments, paths
from local.environments import ENVIRONMENTS, Environment


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    lock_file = tmp_path / "lock.txt"
    lock_file.write_text("one==1\n")
    directory = tmp_path / "env"
    directory.mkdir()
    return Environment("some", directory, lock_file, "a test")


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    names: list[str] = []

    def install(environment: Environment) -> None:
        names.append(environment.name)
        stamp = environment.directory / "installed"
        stamp.write_text(environments._wanted_stamp(environment))

    monkeypatch.setattr(environments, "_install", install)
    monkeypatch.setattr(paths, "LOCAL", tmp_path)
    monkeypatch.setattr(paths, "ENVIRONMENTS_LOCK", tmp_path / "lock")
    return names


def test_an_environment_is_installed_once(
    environment: Environment, installed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environments, "ENVIRONMENTS", (environment,))
    assert environments.main([]) == 0
    assert environments.main([]) == 0
    assert installed == ["some"]


def test_another_lock_file_installs_it_again(
    environment: Environment, installed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environments, "ENVIRONMENTS", (environment,))
    environments.main([])
    assert environment.lock_file
    environment.lock_file.write_text("one==2\n")
    environments.main([])
    assert installed == ["some", "some"]


def test_another_interpreter_installs_it_again(
    environment: Environment, installed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environments, "ENVIRONMENTS", (environment,))
    environments.main([])
    monkeypatch.setattr(sys, "version", "3.99.0")
    environments.main([])
    assert installed == ["some", "some"]


def test_the_functions_environment_is_empty() -> None:
    by_name = {environment.name: environment for environment in ENVIRONMENTS}
    assert by_name["functions"].lock_file is None
    site_packages = list(by_name["functions"].directory.glob("lib/*/site-packages/*"))
    assert site_packages == []


def test_the_console_command_runs_from_anywhere_as_the_checkout_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given an environment without it
    directory = tmp_path / "an environment"
    (directory / "bin").mkdir(parents=True)
    (directory / "bin" / "python").symlink_to(sys.executable)
    monkeypatch.setattr(paths, "DEV_ENVIRONMENT", directory)
    # When it is written twice
    environments._write_launcher()
    launcher = directory / "bin" / "refundctl"
    written = launcher.stat().st_mtime_ns
    environments._write_launcher()
    # Then the second time changes nothing
    assert launcher.stat().st_mtime_ns == written
    assert [path.name for path in launcher.parent.iterdir() if "draft" in path.name] == []
    # And it hands everything over to the checkout's own module
    assert f"PYTHONPATH={paths.ROOT}:" in launcher.read_text()
    assert launcher.read_text().rstrip().endswith('-P -m refundctl "$@"')
    assert launcher.stat().st_mode & 0o111
