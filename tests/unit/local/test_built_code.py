"""What `sam build` makes: complete without anything else, and made for where it will run."""

from pathlib import Path

import pytest

from deployed import paths
from deployed.stages import load_stage
from deploying.artifact_check import MAGIC, artifact_problems
from deploying.build import MACHINES, Build, Target, aws, build, this_machine
from deploying.deploy import build_digest
from deploying.template_yaml import read_template
from tests.unit.local.layered_python import run_on_layers

IMPORT = """
import app
assert callable(app.handler)
own = [m.__file__ for m in list(sys.modules.values()) if getattr(m, "__file__", None)]
strangers = [f for f in own if "site-packages" in f]
assert not strangers, strangers
"""
FUNCTIONS = [
    name
    for name, resource in read_template(paths.TEMPLATE)["Resources"].items()
    if resource["Type"] == "AWS::Serverless::Function"
]


def test_sam_alone_builds_for_what_the_template_asks_for() -> None:
    """Nobody tells a Makefile the template's parameters."""
    declared = read_template(paths.TEMPLATE)["Parameters"]
    machine = MACHINES[declared["Architecture"]["Default"]]
    python = declared["Runtime"]["Default"].removeprefix("python")
    for recipe in paths.ROOT.glob("layers/*/Makefile"):
        assert f"\nTARGET_PYTHON ?= {python}\n" in recipe.read_text()
    assert (
        f"\nTARGET_MACHINE ?= {machine}\n"
        in (paths.ROOT / "layers" / "dependencies" / "Makefile").read_text()
    )


@pytest.fixture(scope="module")
def built() -> Build:
    return build(this_machine(), load_stage("local"))


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_handler_can_be_imported_from_its_layers_alone(built: Build, function: str) -> None:
    run_on_layers(built, IMPORT, function=function)


def test_the_product_layer_holds_the_product_alone(built: Build) -> None:
    layer = built.directory / "RefundsLayer"
    assert [p.name for p in layer.iterdir()] == ["python"]
    assert [p.name for p in (layer / "python").iterdir()] == ["refund_bridge"]


def test_this_machines_build_fits_this_machine_and_is_compiled(built: Build) -> None:
    assert artifact_problems(built, this_machine()) == []
    for part in ("DependenciesLayer", "RefundsLayer", *FUNCTIONS):
        assert list((built.directory / part).rglob("*.pyc")), part


@pytest.mark.heavy
def test_the_build_for_aws_fits_aws() -> None:
    stage = load_stage("production")
    target = aws(stage)
    for_aws = build(target, stage)
    assert artifact_problems(for_aws, target) == []
    libraries = list((for_aws.directory / "DependenciesLayer").rglob("*.so"))
    assert libraries
    assert all("aarch64" in path.name for path in libraries if ".cpython-" in path.name)


def test_the_check_notices_code_for_another_target(built: Build) -> None:
    here = this_machine()
    version = "3.12" if here.python != "3.12" else "3.13"
    assert artifact_problems(built, Target(version, here.architecture, "", None))


def test_the_check_notices_bytecode_without_source(tmp_path: Path) -> None:
    here = this_machine()
    orphan = tmp_path / "module.pyc"
    orphan.write_bytes(MAGIC[here.python] + b"\r\n" + (1).to_bytes(4, "little") + b"\0" * 8)
    assert artifact_problems(Build(tmp_path, ""), here) == [
        "module.pyc: bytecode without its source"
    ]


def test_the_same_sources_are_built_once(built: Build) -> None:
    again = build(this_machine(), load_stage("local"))
    assert again == built


def test_the_build_digest_depends_on_code_and_on_every_parameter(built: Build) -> None:
    values = {"LeaseSeconds": "60", "Mode": "test"}
    digests = {
        build_digest(built, values),
        build_digest(built, values | {"LeaseSeconds": "61"}),
        build_digest(Build(built.directory, "other"), values),
    }
    assert len(digests) == 3
    assert build_digest(built, dict(reversed(values.items()))) in digests
