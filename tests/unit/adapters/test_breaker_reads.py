"""Reads behind a circuit breaker: what counts against a provider, for it, and what says nothing."""

import pytest

from refund_bridge.adapters.providers.breaker import FAILURES_MAX, OPEN_MS, CircuitOpenError
from refund_bridge.adapters.providers.guarded import FAIR_MS
from refund_bridge.ports.processor import (
    ChargeNotFoundError,
    Processor,
    ProviderUnavailableError,
    UnreadableAnswerError,
)
from refund_bridge.ports.stripe import StripeObjectNotFoundError
from tests.unit.adapters.guarded_provider import DOWN, Guarded

READS = sorted(Guarded().reads)


@pytest.fixture
def guarded() -> Guarded:
    return Guarded()


def test_a_guarded_processor_goes_by_the_processors_name(guarded: Guarded) -> None:
    processor: Processor = guarded.processor
    assert processor.name == "hitpay"


def test_a_guarded_processor_can_do_what_the_processor_can(guarded: Guarded) -> None:
    assert guarded.processor.capabilities is guarded.provider.capabilities


@pytest.mark.parametrize("name", READS)
class TestEveryRead:
    """Reads of the processor and of Stripe are guarded alike."""

    def test_hands_on_what_the_provider_answers(self, guarded: Guarded, name: str) -> None:
        guarded.provider.answer = answer = object()
        assert guarded.reads[name](guarded.clock.deadline()) is answer

    def test_is_turned_away_at_once_when_open(self, guarded: Guarded, name: str) -> None:
        # Given a provider that failed too often, four seconds ago
        guarded.open()
        guarded.clock.advance(4_000)
        # When it is to be read, then it is not asked, and the caller told how long to wait
        with pytest.raises(CircuitOpenError) as turned_away:
            guarded.reads[name](guarded.clock.deadline())
        assert isinstance(turned_away.value, ProviderUnavailableError)
        assert turned_away.value.retry_after_s == (OPEN_MS - 4_000) // 1000
        assert guarded.provider.asked == 0

    def test_counts_against_a_provider_that_gives_no_answer(
        self, guarded: Guarded, name: str
    ) -> None:
        guarded.provider.answer = DOWN
        for _ in range(FAILURES_MAX):
            assert not guarded.processor.in_doubt
            with pytest.raises(ProviderUnavailableError):
                guarded.reads[name](guarded.clock.deadline())
        assert guarded.processor.in_doubt

    def test_may_be_the_probe(self, guarded: Guarded, name: str) -> None:
        guarded.open()
        guarded.clock.advance(OPEN_MS)
        guarded.provider.answer = object()
        guarded.reads[name](guarded.clock.deadline())
        assert not guarded.processor.in_doubt


@pytest.mark.parametrize(
    "error",
    [
        ChargeNotFoundError("no such charge"),
        StripeObjectNotFoundError("no such record"),
        UnreadableAnswerError("no JSON object"),
        ProviderUnavailableError("HitPay answered 429", retry_after_s=30),
        ValueError("a defect of ours"),
    ],
)
class TestWhatSaysNothing:
    """Not found, unreadable, told when to come back, a defect of ours."""

    def test_is_no_outage(self, guarded: Guarded, error: Exception) -> None:
        guarded.read(error, times=10 * FAILURES_MAX)
        assert not guarded.processor.in_doubt

    def test_is_no_recovery_either(self, guarded: Guarded, error: Exception) -> None:
        # Given a circuit that was open for long enough
        guarded.open()
        guarded.clock.advance(OPEN_MS)
        # When the probe ends like that, then the next call is one too
        guarded.read(error)
        assert guarded.processor.in_doubt
        guarded.read(None)
        assert not guarded.processor.in_doubt


def test_a_provider_that_was_given_no_fair_time_is_not_to_blame(guarded: Guarded) -> None:
    # When it is silent because hardly any time was left
    guarded.read(DOWN, times=2 * FAILURES_MAX, within_ms=FAIR_MS - 1)
    # Then that says nothing, other than with fair time
    assert not guarded.processor.in_doubt
    guarded.read(DOWN, times=FAILURES_MAX, within_ms=FAIR_MS)
    assert guarded.processor.in_doubt
