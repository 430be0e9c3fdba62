"""The functions' worlds have the processors that their environment sets up, and no others."""

from collections.abc import Iterator

import pytest
from aws_lambda_powertools import Logger

from refund_bridge.adapters.aws_runtime import clients as aws_clients
from refund_bridge.adapters.aws_runtime.system_clock import SystemClock
from refund_bridge.adapters.http.client import DeadlineHttp
from refund_bridge.adapters.providers.breaker import FAILURES_MAX, Breaker
from refund_bridge.adapters.providers.calls import ProviderCalls
from refund_bridge.bootstrap.hitpay_webhook import hitpay_webhook
from refund_bridge.bootstrap.processors import processor_side
from refund_bridge.bootstrap.refund_api import RefundApi, refund_api
from refund_bridge.bootstrap.refund_requested import refund_requested
from refund_bridge.bootstrap.settle_refunds import settle_refunds
from refund_bridge.bootstrap.sweep_charges import sweep_charges
from refund_bridge.config import ConfigurationError, Mode
from refund_bridge.ports.processor import ProviderUnavailableError
from refund_bridge.ports.runtime import Deadline
from refund_bridge.processors.registry import OF_RECORDS, REGISTRY, set_up
from tests.template.expansion import expand
from tests.template.test_processors import OTHERS
from tests.unit.processors.doubles import StoredKey

LOGGER = Logger(service="test")
WORLDS = (refund_api, refund_requested, settle_refunds, hitpay_webhook, sweep_charges)
EVERY = list(REGISTRY)
NOT_HITPAY = EVERY[1:]


@pytest.fixture
def deployed(monkeypatch: pytest.MonkeyPatch) -> Iterator["Deployed"]:
    yield Deployed(monkeypatch)
    for world in WORLDS:
        world.cache_clear()
    aws_clients.forget_clients()


class Deployed:
    """The environment of a function, as the template gives it with these parameters."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch

    def __call__(self, function: str, **parameters: str) -> None:
        for name, value in expand("sandbox", **parameters).environment(function).items():
            self._monkeypatch.setenv(name, str(value))
        self._monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
        self._monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        self._monkeypatch.setenv("AWS_DEFAULT_REGION", "ap-southeast-1")


def api(deployed: Deployed, **parameters: str) -> RefundApi:
    deployed("RefundApiFunction", **parameters)
    return refund_api(LOGGER)


@pytest.mark.parametrize(
    ("parameters", "names"),
    [({}, ["hitpay"]), (OTHERS, EVERY), (OTHERS | {"HitPayUrl": ""}, NOT_HITPAY)],
)
def test_who_refunds_asks_those_that_are_set_up_and_knows_the_names_of_all(
    deployed: Deployed, parameters: dict[str, str], names: list[str]
) -> None:
    execute = api(deployed, **parameters).execute.execute
    assert list(execute.processors) == list(execute.locator.processors) == names
    assert list(execute.locator.names) == list(OF_RECORDS)


def test_who_settles_and_who_takes_requests_asks_them_too(deployed: Deployed) -> None:
    deployed("SettleRefundsFunction", **OTHERS)
    assert list(settle_refunds(LOGGER).run.settle.processors) == EVERY
    deployed("RefundRequestedFunction", **OTHERS)
    assert list(refund_requested(LOGGER).accept.execute.processors) == EVERY


def test_who_sweeps_asks_those_that_list_what_was_refunded(deployed: Deployed) -> None:
    deployed("SweepChargesFunction", **OTHERS)
    assert list(sweep_charges(LOGGER).sweep.processors) == ["hitpay", "stripe"]


def test_who_learns_from_hitpay_asks_hitpay_alone(deployed: Deployed) -> None:
    deployed("HitPayWebhookFunction", **OTHERS)
    observe = hitpay_webhook(LOGGER).observe
    assert list(observe.learn.processors) == ["hitpay"]


def test_without_hitpay_there_is_nothing_to_learn_from_it(deployed: Deployed) -> None:
    hedge = {"HitPayUrl": "", "HedgeUrl": OTHERS["HedgeUrl"]}
    deployed("SweepChargesFunction", **hedge)
    assert sweep_charges(LOGGER).sweep.processors == {}
    deployed("HitPayWebhookFunction", **hedge)
    assert hitpay_webhook(LOGGER).observe.learn.processors == {}


@pytest.mark.parametrize(
    ("function", "world"),
    [
        ("RefundApiFunction", refund_api),
        ("RefundRequestedFunction", refund_requested),
        ("SettleRefundsFunction", settle_refunds),
    ],
)
def test_without_any_nothing_that_moves_money_starts(
    deployed: Deployed, function: str, world: object
) -> None:
    deployed(function, HitPayUrl="")
    with pytest.raises(ConfigurationError, match=r"HITPAY_URL, .*, STRIPE_PAYMENTS_URL"):
        world(LOGGER)  # type: ignore[operator]


def test_each_has_a_breaker_of_its_own() -> None:
    # Given two processors, at one of whose addresses nobody listens
    clock, telemetry = SystemClock(), RecordingTelemetry()
    nobody = {"HITPAY_URL": "http://127.0.0.1:1", "HEDGE_URL": "http://127.0.0.1:1"}
    side = processor_side(
        set_up(nobody, Mode.TEST),
        StoredKey,
        DeadlineHttp(clock),
        calls_to=lambda name: ProviderCalls(name, clock, telemetry),
        breaker_of=lambda name: Breaker(name, clock, telemetry),
    )
    # When that one has failed often enough
    for _ in range(FAILURES_MAX):
        with pytest.raises(ProviderUnavailableError):
            side.by_name["hedge"].charge("pay_1", Deadline.after(clock, 5_000))
    # Then it is in doubt, and the other one is not
    assert side.in_doubt("hedge")
    assert not side.in_doubt("hitpay")
    assert telemetry.facts("provider_called", "provider") == {"hedge"}


class RecordingTelemetry:
    """Keeps what is told."""

    def __init__(self) -> None:
        self.notes: list[tuple[str, dict[str, object]]] = []

    def note(self, event: str, **facts: object) -> None:
        self.notes.append((event, facts))

    def facts(self, event: str, name: str) -> set[object]:
        return {facts[name] for told, facts in self.notes if told == event}
