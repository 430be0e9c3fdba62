"""Who asks again a moment later is told what the last look came to; nobody is asked again."""

from collections.abc import Callable
from typing import Any

import pytest

from refund_bridge.domain.errors import (
    CurrencyMismatchError,
    PaymentNotFoundError,
    ProcessorUnavailableError,
    RateLimitedError,
    StripeUnavailableError,
)
from refund_bridge.domain.money import Money
from refund_bridge.domain.payment import PaymentKey
from refund_bridge.refunding.recent_looks import (
    LOOK_AGAIN_AFTER_MS,
    LOOKING,
    Looked,
    first_sight,
    hinted,
)
from tests.fakes.world import World

CHARGE = PaymentKey("hitpay", "charge-1")
REPEATS = 20


@pytest.fixture
def calls(world: World, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every read at Stripe and at the processor, by its name."""
    asked: list[str] = []

    def counted(name: str, ask: Callable[..., Any]) -> Callable[..., Any]:
        def counts(*given: Any, **named: Any) -> Any:
            asked.append(name)
            return ask(*given, **named)

        return counts

    for provider, names in ((world.stripe, ("payment_record",)), (world.processor, ("charge",))):
        for name in names:
            monkeypatch.setattr(provider, name, counted(name, getattr(provider, name)))
    return asked


def read(world: World, record: str = "pr_1") -> Any:
    return world.read_payment(record, world.deadline())


def hint(world: World, body: bytes = b"{}") -> str | None:
    """A genuine webhook of that body, as its function handles it."""
    deadline = world.deadline()
    return world.look_once(
        hinted(CHARGE, body), lambda: Looked(word=world.observe(CHARGE, deadline)), deadline
    ).word


class TestReading:
    """A payment that the ledger has not met."""

    def test_many_reads_are_one_look(self, world: World, calls: list[str]) -> None:
        first = read(world)
        assert [read(world) for _ in range(REPEATS)] == [first] * REPEATS
        assert sorted(calls) == ["charge", "payment_record"]

    def test_after_a_moment_it_is_looked_at_again(self, world: World, calls: list[str]) -> None:
        assert read(world).payment.refundable == 9999
        world.in_dashboard(2500)
        world.clock.advance(LOOK_AGAIN_AFTER_MS - 1)
        assert read(world).payment.refundable == 9999
        world.clock.advance(1)
        assert read(world).payment.refundable == 7499
        assert len(calls) == 4

    def test_a_record_that_nobody_has_is_remembered_for_as_long(
        self, world: World, calls: list[str]
    ) -> None:
        for _ in range(REPEATS):
            with pytest.raises(PaymentNotFoundError, match="pr_never"):
                read(world, "pr_never")
        assert calls == ["payment_record"]
        world.clock.advance(LOOK_AGAIN_AFTER_MS)
        with pytest.raises(PaymentNotFoundError):
            read(world, "pr_never")
        assert calls == ["payment_record"] * 2

    def test_a_charge_in_another_currency_than_its_record_is_remembered_as_well(
        self, world: World, calls: list[str]
    ) -> None:
        # Given a payment that no refund and no read can be of
        world.processor.add_charge("charge-1", Money(9999, "usd"))
        # When it is read again and again, then one look answers all
        for _ in range(REPEATS):
            with pytest.raises(CurrencyMismatchError):
                read(world)
        assert sorted(calls) == ["charge", "payment_record"]

    def test_each_record_has_its_own(self, world: World, calls: list[str]) -> None:
        world.pay("2")
        assert read(world).payment.key != read(world, "pr_2").payment.key
        assert len(calls) == 4

    def test_a_refund_is_seen_at_once(self, world: World) -> None:
        read(world)
        world.refund("k", amount=2500)
        assert read(world).payment.refundable == 7499

    def test_a_provider_that_is_down_is_no_answer_to_remember(self, world: World) -> None:
        world.stripe.is_down = True
        with pytest.raises(StripeUnavailableError):
            read(world)
        world.stripe.is_down, world.processor.is_down = False, True
        with pytest.raises(ProcessorUnavailableError):
            read(world)
        world.processor.is_down = False
        assert read(world).payment.refundable == 9999


class TestHints:
    """A webhook, which says that something may have changed."""

    def test_the_same_one_again_and_again_is_one_look(self, world: World, calls: list[str]) -> None:
        world.refund("k", amount=2500)
        calls.clear()
        assert {hint(world) for _ in range(30)} == {"learnt"}
        assert sorted(calls) == ["charge", "payment_record"]

    def test_one_that_says_something_new_is_followed_at_once(self, world: World) -> None:
        # Given two refunds in the dashboard, one right after the other
        world.refund("k", amount=1)
        world.in_dashboard(1000)
        hint(world, b'{"refunded_amount": "10.01"}')
        world.in_dashboard(1500)
        hint(world, b'{"refunded_amount": "25.01"}')
        assert sorted(one.amount for one in world.imported()) == [1000, 1500]

    def test_one_whose_look_failed_is_followed_when_it_comes_again(self, world: World) -> None:
        world.refund("k", amount=1)
        world.in_dashboard(1000)
        world.processor.is_down = True
        with pytest.raises(ProcessorUnavailableError):
            hint(world)
        world.processor.is_down = False
        assert hint(world) == "learnt"
        assert [one.amount for one in world.imported()] == [1000]


class TestAtOnce:
    """Several who ask at the same time."""

    def test_the_others_wait_for_the_one_that_looks(self, world: World) -> None:
        # Given a look that somebody else has begun, and ends within two seconds
        begun_ms = world.clock.now_ms()
        until_ms = begun_ms + LOOK_AGAIN_AFTER_MS
        world.looks.take("w", now_ms=begun_ms, until_ms=until_ms)

        def pause(seconds: float) -> None:
            world.clock.advance(round(seconds * 1000))
            if world.clock.now_ms() >= begun_ms + 2_000:
                world.looks.keep("w", Looked(word="seen"), until_ms=until_ms)

        object.__setattr__(world.look_once, "pause", pause)
        looked = world.look_once("w", lambda: pytest.fail("looked beside it"), world.deadline())
        assert looked.word == "seen"

    def test_whoever_never_tells_is_not_waited_for_longer_than_a_moment(self, world: World) -> None:
        now_ms = world.clock.now_ms()
        world.looks.take("w", now_ms=now_ms, until_ms=now_ms + LOOK_AGAIN_AFTER_MS)
        looked = world.look_once("w", lambda: Looked(word="mine"), world.deadline())
        assert looked.word == "mine"
        assert world.clock.now_ms() >= now_ms + LOOK_AGAIN_AFTER_MS

    def test_who_has_no_time_to_wait_is_asked_to_come_again(self, world: World) -> None:
        now_ms = world.clock.now_ms()
        world.looks.take("w", now_ms=now_ms, until_ms=now_ms + LOOK_AGAIN_AFTER_MS)
        with pytest.raises(RateLimitedError) as busy:
            world.look_once("w", lambda: LOOKING, world.deadline_of(1_000))
        assert busy.value.retry_after_s is not None


def test_looks_at_different_things_have_different_names() -> None:
    other = PaymentKey("hitpay", "charge-2")
    names = {hinted(CHARGE, b"a"), hinted(CHARGE, b"b"), hinted(other, b"a"), first_sight("pr_1")}
    assert len(names) == 4
