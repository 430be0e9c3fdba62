"""What the layer was cut to is enough: for every call that is made, wherever it goes."""

import ast
import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import botocore.session
import pytest
import stripe

import refunds
from local import paths
from local.build import Build, build, this_machine
from local.stages import load_stage
from tests.unit.local.layered_python import run_on_layers

RECIPE = paths.ROOT / "layers" / "dependencies"
ADAPTERS = Path(refunds.__file__).parent / "adapters"
REGIONS = ("ap-southeast-1", "eu-central-1", "us-east-1", "us-gov-west-1", "cn-north-1", "xx-new-1")
CLIENTS = """
import json, botocore.session
session = botocore.session.Session()
found = {}
for service in %s:
    for region in %s:
        client = session.create_client(
            service, region_name=region, aws_access_key_id="none", aws_secret_access_key="none"
        )
        found[f"{service} {region}"] = [
            client.meta.endpoint_url,
            sorted(client.meta.method_to_api_mapping.values()),
        ]
print(json.dumps(found))
"""
REFUSAL = """
from refunds.adapters.stripe_book import StripeBook
from refunds.adapters.http_messages import HttpAnswer
from refunds.ports import Deadline, ProviderUnavailableError
class Key:
    def current(self): return "sk_test_1"
    def refreshed(self): return None
class Clock:
    def now_ms(self): return 0
    def monotonic_ms(self): return 0
class Http:
    def send(self, request, deadline, *, fresh=False):
        return HttpAnswer(402, {}, b'''{"error": {"type": "card_error", "message": "No.",
            "payment_intent": {"id": "pi_1", "object": "payment_intent", "amount": 1}}}''')
book = StripeBook(base_url="https://stripe.test", key=Key(), http=Http())
try:
    book.payment_record("pr_1", Deadline.after(Clock(), 1000))
except ProviderUnavailableError as error:
    print(error)
"""
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
assert "botocore.session" not in sys.modules
for kind in ("before", "after"):
    for hook, given in hooks[kind]:
        hook(*given)
    print(kind, len(hooks[kind]), "botocore.session" in sys.modules)
"""


@pytest.fixture(scope="module")
def built() -> Build:
    return build(this_machine(), load_stage("local"))


@pytest.fixture(scope="module")
def trim() -> ModuleType:
    """The recipe's own program; it is no part of any package."""
    spec = importlib.util.spec_from_file_location("trim", RECIPE / "trim.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def words_of(path: Path) -> Iterator[str]:
    """Every attribute and every text of a module."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def test_just_the_calls_that_the_adapters_make_are_described(trim: ModuleType) -> None:
    words = {word for path in ADAPTERS.glob("*.py") for word in words_of(path)}
    session = botocore.session.get_session()
    for service, kept in trim.OPERATIONS.items():
        names = session.get_service_model(service).operation_names
        called = [name for name in names if botocore.xform_name(name) in words]
        assert sorted(called) == sorted(kept), service


def test_aws_is_called_where_the_whole_botocore_would(built: Build, trim: ModuleType) -> None:
    found = json.loads(run_on_layers(built, CLIENTS % (list(trim.OPERATIONS), REGIONS)))
    session = botocore.session.Session()
    for service, kept in trim.OPERATIONS.items():
        for region in REGIONS:
            client = session.create_client(
                service, region_name=region, aws_access_key_id="none", aws_secret_access_key="none"
            )
            url = client.meta.endpoint_url
            client.close()
            assert found[f"{service} {region}"] == [url, sorted(kept)]


def test_every_module_kept_of_stripe_is_one(trim: ModuleType) -> None:
    listed = (RECIPE / "stripe_modules.txt").read_text().splitlines()
    kept = [name for name in listed if not name.startswith("#")]
    assert len(kept) == len(set(kept))
    for name in kept:
        assert (Path(stripe.__file__).parent / name).is_file(), name


def test_an_object_inside_stripes_error_needs_no_class(built: Build) -> None:
    assert run_on_layers(built, REFUSAL) == "No.\n"


def test_a_function_is_made_ready_for_a_snapshot_without_network_or_settings(built: Build) -> None:
    printed = run_on_layers(built, SNAPSHOT, function="RefundApiFunction")
    assert printed.splitlines() == ["before 1 True", "after 1 True"]


def test_the_layers_and_a_function_are_small(built: Build) -> None:
    # AWS allows 250 MB; the plain build of the same has 47 (docs/performance.md).
    folders = [built.directory / name for name in ("DependenciesLayer", "RefundsLayer")]
    size = sum(p.stat().st_size for one in folders for p in one.rglob("*") if p.is_file())
    assert size < 21 * 1024 * 1024
