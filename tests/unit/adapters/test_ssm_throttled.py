"""Parameter Store answers forty calls a second of a whole account: workers share them, and live."""

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError
from botocore.retries.standard import ExponentialBackoff, RetryContext
from greenlet import getcurrent, greenlet  # type: ignore[import-untyped]

from refund_bridge.adapters.aws_runtime.clients import SSM_ATTEMPTS
from refund_bridge.adapters.http.api_key import KeyUnavailableError
from refund_bridge.adapters.ssm import parameters as ssm_parameters
from refund_bridge.adapters.ssm.api_keys import ApiKeys
from refund_bridge.adapters.ssm.parameters import Kept, KeysThrottledError, parameters_by_name
from refund_bridge.adapters.ssm.secrets import Secrets
from refund_bridge.domain.errors import KeysUnavailableError
from tests.fakes.world import FakeTelemetry
from tests.unit.processors.doubles import FrozenWallClock

THROTTLED = ClientError({"Error": {"Code": "ThrottlingException"}}, "GetParameters")
DENIED = ClientError({"Error": {"Code": "AccessDeniedException"}}, "GetParameters")
PER_SECOND = 40
MINUTE_MS = 60_000


@dataclass
class Moments:
    """Time in which only what waits for something happens, one after the other."""

    now_s: float = 0.0
    waiting: list[tuple[float, int, greenlet]] = field(default_factory=list)

    def at(self, when_s: float, run: Callable[[], None]) -> None:
        heapq.heappush(self.waiting, (when_s, len(self.waiting), greenlet(run)))

    def sleep(self, seconds: float) -> None:
        me = getcurrent()
        heapq.heappush(self.waiting, (self.now_s + seconds, id(me), me))
        cast(greenlet, me.parent).switch()

    def pass_by(self) -> None:
        while self.waiting:
            self.now_s, _, one = heapq.heappop(self.waiting)
            one.switch()

    def now_ms(self) -> int:
        return round(self.now_s * 1000)

    monotonic_ms = now_ms


class ParameterStore:
    """A bucket of forty calls, forty a second; asked by a client that retries as botocore does."""

    def __init__(self, moments: Moments, chance: random.Random) -> None:
        self._moments = moments
        always: Any = SimpleNamespace(is_throttling_error_from_context=lambda _: True)
        self._backoff = ExponentialBackoff(random=chance.random, throttling_detector=always)
        self._left, self._seen_s = float(PER_SECOND), 0.0

    def get_parameters(self, *, Names: list[str], **_: Any) -> dict[str, Any]:  # noqa: N803
        self._asked()
        return {"Parameters": [{"Name": name, "Value": "secret"} for name in Names]}

    def get_parameters_by_path(self, **_: Any) -> dict[str, Any]:
        self._asked()
        return {"Parameters": []}

    def _asked(self) -> None:
        for attempt in range(1, SSM_ATTEMPTS + 1):
            self._moments.sleep(0.02)
            passed_s = self._moments.now_s - self._seen_s
            self._left = min(PER_SECOND, self._left + passed_s * PER_SECOND)
            self._seen_s = self._moments.now_s
            if self._left >= 1:
                self._left -= 1
                return
            if attempt < SSM_ATTEMPTS:
                tried = RetryContext(attempt_number=attempt)
                self._moments.sleep(self._backoff.delay_amount(tried))
        raise THROTTLED


@pytest.mark.parametrize("seed", range(20))
def test_a_hundred_workers_that_start_together_lose_no_request(seed: int) -> None:
    chance, moments = random.Random(seed), Moments()  # noqa: S311 - worlds that can be had again
    store: Any = ParameterStore(moments, chance)
    served: list[str] = []

    def first_request() -> None:
        keys = ApiKeys(store, "/test", max_age_s=60, clock=moments, telemetry=FakeTelemetry())
        assert keys.holder_of("anybody's") is None
        secrets = Secrets(store, "/test", ["key"], max_age_s=60, clock=moments)
        served.append(secrets.secret("key").current())

    for _ in range(100):
        moments.at(0.3 * chance.random(), first_request)
    moments.pass_by()
    assert served == ["secret"] * 100


class Fetch:
    """A call of the Systems Manager that is answered by what is put here."""

    def __init__(self) -> None:
        self.answer: str | Exception = "first"
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        if isinstance(self.answer, ClientError):
            raise ssm_parameters._unavailable("/test", self.answer)
        return str(self.answer)


@pytest.fixture
def clock() -> FrozenWallClock:
    return FrozenWallClock()


@pytest.fixture
def fetch() -> Fetch:
    return Fetch()


@pytest.mark.parametrize(("chance", "lives_s"), [(0.0, 60), (0.5, 45), (1.0, 30)])
def test_workers_that_started_together_do_not_come_back_together(
    chance: float, lives_s: int, fetch: Fetch, clock: FrozenWallClock
) -> None:
    kept = Kept(fetch, max_age_s=60, clock=clock, chance=lambda: chance)
    kept.current()
    clock.wall_ms += lives_s * 1000 - 1
    kept.current()
    assert fetch.calls == 1
    clock.wall_ms += 1
    kept.current()
    assert fetch.calls == 2


def test_while_it_throttles_the_last_known_value_is_served_and_it_is_left_alone(
    fetch: Fetch, clock: FrozenWallClock
) -> None:
    kept = Kept(fetch, max_age_s=60, clock=clock, chance=lambda: 0.0)
    kept.current()
    fetch.answer = THROTTLED
    clock.wall_ms += MINUTE_MS
    assert [kept.current() for _ in range(50)] == ["first"] * 50
    assert fetch.calls == 2
    # When it answers again
    fetch.answer = "second"
    clock.wall_ms += ssm_parameters.LEFT_ALONE_MS
    assert kept.current() == "second"


def test_but_not_for_longer_than_some_minutes(fetch: Fetch, clock: FrozenWallClock) -> None:
    kept = Kept(fetch, max_age_s=60, clock=clock)
    kept.current()
    fetch.answer = THROTTLED
    clock.wall_ms += ssm_parameters.STALE_MS_MAX
    with pytest.raises(KeysThrottledError):
        kept.current()


def test_no_other_failure_lets_what_may_be_revoked_live_on(
    fetch: Fetch, clock: FrozenWallClock
) -> None:
    kept = Kept(fetch, max_age_s=60, clock=clock)
    kept.current()
    fetch.answer = DENIED
    clock.wall_ms += MINUTE_MS
    with pytest.raises(KeyUnavailableError):
        kept.current()
    assert fetch.calls == 2


def test_throttling_is_told_from_every_other_refusal() -> None:
    for error, kind in ((THROTTLED, KeysThrottledError), (DENIED, KeyUnavailableError)):

        class Refusing:
            def get_parameters(self, **_: Any) -> Any:
                raise error  # noqa: B023 - called in this round

        client: Any = Refusing()
        with pytest.raises(KeyUnavailableError) as caught:
            parameters_by_name(client, ["/test/key"])
        assert type(caught.value) is kind


def test_callers_whose_keys_cannot_be_read_are_told_that_nothing_was_executed(
    clock: FrozenWallClock,
) -> None:
    class Refusing:
        def get_parameters_by_path(self, **_: Any) -> Any:
            raise DENIED

    client: Any = Refusing()
    keys = ApiKeys(client, "/test", max_age_s=60, clock=clock, telemetry=FakeTelemetry())
    with pytest.raises(KeysUnavailableError, match="nothing was executed") as caught:
        keys.holder_of("anybody's")
    assert caught.value.retry_after_s
