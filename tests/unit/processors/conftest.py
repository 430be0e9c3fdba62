"""The HitPay adapter on a clock of its own, against whatever listens at a URL."""

from collections.abc import Callable, Iterator

import pytest

from refund_bridge.adapters.http.client import DeadlineHttp, Limits
from refund_bridge.processors.hitpay.adapter import HitPay
from tests.unit.processors.doubles import FrozenWallClock, StoredKey

MakeHitPay = Callable[[str], HitPay]


@pytest.fixture
def clock() -> FrozenWallClock:
    return FrozenWallClock()


@pytest.fixture
def key() -> StoredKey:
    return StoredKey()


@pytest.fixture
def http(clock: FrozenWallClock) -> Iterator[DeadlineHttp]:
    caller = DeadlineHttp(clock, limits=Limits(exchange_ms=1_500, body_bytes=20_000))
    yield caller
    caller.close()


@pytest.fixture
def make_hitpay(http: DeadlineHttp, key: StoredKey) -> MakeHitPay:
    return lambda url: HitPay(base_url=url, key=key, http=http)


@pytest.fixture
def make_impatient(clock: FrozenWallClock, key: StoredKey) -> Iterator[MakeHitPay]:
    """For the tests in which nothing good comes: their waiting is cut short."""
    caller = DeadlineHttp(clock, limits=Limits(connect_ms=300, exchange_ms=300, body_bytes=20_000))
    yield lambda url: HitPay(base_url=url, key=key, http=caller)
    caller.close()
