"""The doctor's question to every processor, at its simulator: harmless, and told by its status."""

from collections.abc import Iterator

import pytest

from local.providers import PROCESSORS
from local.simulators.server import RunningSimulators
from refundctl.checks.finding import Level
from refundctl.checks.providers import ask, processor_probe
from refundctl.processors import settings_of
from refunds.adapters.system_clock import SystemClock
from refunds.processors.registry import REGISTRY


@pytest.fixture(scope="module")
def simulators() -> Iterator[RunningSimulators]:
    with RunningSimulators() as running:
        yield running


@pytest.mark.parametrize("name", REGISTRY)
def test_a_good_key_is_told_from_a_bad_one_and_nothing_is_refunded(
    simulators: RunningSimulators, name: str
) -> None:
    # Given a processor that is set up, at its simulator
    at_hand = PROCESSORS[name]
    parameters = at_hand.parameters(simulators.control.urls[name])
    settings = settings_of({"Mode": "test"} | parameters)[name]
    # When it is asked with its key, and with another
    good = ask(processor_probe(name, settings, at_hand.key), SystemClock())
    bad = ask(processor_probe(name, settings, "another"), SystemClock())
    # Then the one is fine, the other is refused, and only reads were made
    assert (good.level, bad.level) == (Level.OK, Level.FAIL), (good, bad)
    assert "401" in bad.found
    calls = simulators.control.calls(name)
    assert {call.method for call in calls} == {"GET"}


def test_a_processor_that_gives_no_answer_is_told_so(simulators: RunningSimulators) -> None:
    settings = settings_of({"Mode": "test", "HedgeUrl": "http://127.0.0.1:1"})["hedge"]
    found = ask(processor_probe("hedge", settings, "key"), SystemClock())
    assert found.level is Level.FAIL
    assert "gives no answer" in found.found
