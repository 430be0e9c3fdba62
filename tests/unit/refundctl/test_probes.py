"""The doctor's question to every processor, at its simulator: harmless, and told by its status."""

from collections.abc import Iterator

import pytest

from local.providers import PROCESSORS
from local.simulators.server import RunningSimulators
from local.simulators.stripe import DEFAULT_TEST_KEY
from refund_bridge.adapters.aws_runtime.system_clock import SystemClock
from refund_bridge.config import ConfigurationError
from refund_bridge.processors.registry import OF_RECORDS
from refundctl.checks.finding import Level
from refundctl.checks.providers import (
    ask,
    processor_probe,
    stripe_right_to_refund,
    stripe_right_to_report,
)
from refundctl.processors import settings_of


@pytest.fixture(scope="module")
def simulators() -> Iterator[RunningSimulators]:
    with RunningSimulators() as running:
        yield running


@pytest.mark.parametrize("name", OF_RECORDS)
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
    assert ("403" if name == "hitpay" else "401") in bad.found
    calls = simulators.control.calls(name)
    assert {call.method for call in calls} == {"GET"}


def test_a_processor_that_gives_no_answer_is_told_so(simulators: RunningSimulators) -> None:
    settings = settings_of({"Mode": "test", "HedgeUrl": "http://127.0.0.1:1"})["hedge"]
    found = ask(processor_probe("hedge", settings, "key"), SystemClock())
    assert found.level is Level.FAIL
    assert "gives no answer" in found.found


@pytest.mark.parametrize("restricted", [False, True])
def test_a_key_that_may_read_and_not_report_is_found_beforehand(
    simulators: RunningSimulators, restricted: bool
) -> None:
    # Given Stripe's key, with and without the right to report
    if restricted:
        refusal = {"error": {"type": "invalid_request_error", "message": "Not permitted."}}
        simulators.control.add_fault(
            "stripe", "payment_record.report_refund", "status", status=403, body=refusal
        )
    # When it is tried, then it is told apart, and nothing is booked
    url = simulators.control.urls["stripe"]
    found = ask(stripe_right_to_report(url, DEFAULT_TEST_KEY), SystemClock())
    assert found.level is (Level.FAIL if restricted else Level.OK), found
    assert simulators.control.reports() == []


@pytest.mark.parametrize("restricted", [False, True])
def test_a_key_that_may_not_refund_at_stripe_is_found_beforehand(
    simulators: RunningSimulators, restricted: bool
) -> None:
    if restricted:
        refusal = {"error": {"type": "invalid_request_error", "message": "Not permitted."}}
        simulators.control.add_fault("stripe", "refund.create", "status", status=403, body=refusal)
    url = simulators.control.urls["stripe"]
    found = ask(stripe_right_to_refund(url, DEFAULT_TEST_KEY), SystemClock())
    assert found.level is (Level.FAIL if restricted else Level.OK), found
    assert simulators.control.processor_refunds("stripe") == []


def test_that_stripe_refunds_is_said_by_a_word_and_where_it_is_by_its_address() -> None:
    parameters = {"Mode": "test", "StripeUrl": "https://api.stripe.com"}
    assert settings_of(parameters | {"StripePayments": "on"})["stripe"].url == (
        "https://api.stripe.com"
    )
    with pytest.raises(ConfigurationError, match="no processor"):
        settings_of(parameters | {"StripePayments": "off"})
