"""The layer of third-party packages: what was published, and no more bytes than are called for."""

import base64
import csv
import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployed.stages import load_stage
from deploying.build import Build, build, this_machine
from refund_bridge.adapters.aws_runtime.clients import SERVICES
from tests.unit.local.layered_python import run_on_layers

SNAPSHOT = """
import types
hooks = {"before": [], "after": []}
def register(kind):
    return lambda hook, *given: hooks[kind].append((hook, given))
module = types.ModuleType("snapshot_restore_py")
module.register_before_snapshot = register("before")
module.register_after_restore = register("after")
sys.modules[module.__name__] = module
import app
assert "boto3" not in sys.modules
for kind in ("before", "after"):
    for hook, given in hooks[kind]:
        hook(*given)
    print(kind, len(hooks[kind]), "boto3" in sys.modules)
"""


@pytest.fixture(scope="module")
def built() -> Build:
    return build(this_machine(), load_stage("local"))


@pytest.fixture(scope="module")
def packages(built: Build) -> Path:
    return built.directory / "DependenciesLayer" / "python"


def published(packages: Path) -> Iterator[tuple[str, str]]:
    """Each file of each package with its hash, as the package itself lists them (its RECORD)."""
    for record in packages.glob("*.dist-info/RECORD"):
        with record.open(newline="") as lines:
            for name, digest, _size in csv.reader(lines):
                if digest:  # RECORD does not know its own, nor that of what an installer adds
                    yield name, digest


def record_of(path: Path) -> str:
    """The hash of a file as RECORD writes it."""
    digest = hashlib.sha256(path.read_bytes()).digest()
    return "sha256=" + base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def test_every_file_of_every_package_is_as_it_was_published(packages: Path) -> None:
    files = dict(published(packages))
    assert len(files) > 1000
    left_out = {name for name in files if not (packages / name).is_file()}
    changed = [
        name for name in files.keys() - left_out if record_of(packages / name) != files[name]
    ]
    assert changed == []
    # Botocore's descriptions of services that are never called stay out, each as a whole.
    assert {name.rpartition("/data/")[0] for name in left_out} == {"botocore"}
    assert not {name.split("/")[2] for name in left_out} & set(SERVICES)


def test_botocore_describes_just_the_services_that_are_called(packages: Path) -> None:
    described = [path.name for path in (packages / "botocore" / "data").iterdir() if path.is_dir()]
    assert sorted(described) == sorted(SERVICES)


def test_a_function_is_made_ready_for_a_snapshot_without_network_or_settings(built: Build) -> None:
    printed = run_on_layers(built, SNAPSHOT, function="RefundApiFunction")
    assert printed.splitlines() == ["before 1 True", "after 1 True"]


def test_the_layers_and_a_function_are_far_from_lambdas_limit(built: Build) -> None:
    folders = [built.directory / name for name in ("DependenciesLayer", "RefundsLayer")]
    size = sum(p.stat().st_size for one in folders for p in one.rglob("*") if p.is_file())
    assert size < 60 * 1024 * 1024  # of 250 MB, unzipped
