"""Stripe's adapter on a clock of its own, against whatever listens at a URL."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from refund_bridge.adapters.http.client import DeadlineHttp, Limits
from refund_bridge.adapters.stripe.reports import StripeSdkReports
from refund_bridge.ports.stripe import ReportOutcome
from tests.unit.adapters.test_stripe.bodies import PARAMETERS
from tests.unit.processors.doubles import FrozenWallClock, StoredKey
from tests.unit.processors.raw_server import RawServer, Script

MakeReports = Callable[[str], StripeSdkReports]


@pytest.fixture
def clock() -> FrozenWallClock:
    return FrozenWallClock()


@pytest.fixture
def key() -> StoredKey:
    return StoredKey("sk_test_one")


@pytest.fixture
def make_reports(clock: FrozenWallClock, key: StoredKey) -> Iterator[MakeReports]:
    http = DeadlineHttp(clock, limits=Limits(exchange_ms=5_000))
    yield lambda url: StripeSdkReports(base_url=url, key=key, http=http)
    http.close()


@pytest.fixture
def report(make_reports: MakeReports, clock: FrozenWallClock) -> Any:
    def tell(*scripts: Script, milliseconds: int = 10_000) -> tuple[ReportOutcome, RawServer]:
        with RawServer(*scripts) as server:
            reports = make_reports(server.url)
            return reports.report_refund(
                PARAMETERS, "rfd_1-0", clock.deadline(milliseconds)
            ), server

    return tell
