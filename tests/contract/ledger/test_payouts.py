"""Both count what a day's payouts come to, and let none exceed what is allowed."""

import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from refunds.adapters.dynamodb_payouts import DynamoDbPayouts
from refunds.payouts import PayoutSums
from tests.contract.ledger.conftest import Table
from tests.fakes.payouts import MemoryPayouts


@pytest.fixture(params=["memory", "dynamodb"])
def sums(request: pytest.FixtureRequest) -> PayoutSums:
    if request.param == "memory":
        return MemoryPayouts()
    table: Table = request.getfixturevalue("table")
    return DynamoDbPayouts(table.client, table.name)


@pytest.fixture
def day() -> str:
    return f"2026-11-28-{uuid.uuid4().hex}"


def test_a_day_takes_what_is_allowed_and_no_more(sums: PayoutSums, day: str) -> None:
    assert sums.add(day, "usd", 600, at_most=1000)
    assert not sums.add(day, "usd", 401, at_most=1000)
    assert sums.add(day, "usd", 400, at_most=1000)
    assert not sums.add(day, "usd", 1, at_most=1000)


def test_more_than_a_day_takes_is_refused_at_once(sums: PayoutSums, day: str) -> None:
    assert not sums.add(day, "usd", 1001, at_most=1000)
    assert sums.add(day, "usd", 1000, at_most=1000)


def test_each_day_and_each_currency_has_its_own(sums: PayoutSums, day: str) -> None:
    assert sums.add(day, "usd", 1000, at_most=1000)
    assert sums.add(day, "sgd", 1000, at_most=1000)
    assert sums.add(f"{day}-2", "usd", 1000, at_most=1000)


def test_of_many_at_once_no_more_than_fit_are_taken(sums: PayoutSums, day: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(lambda _: sums.add(day, "usd", 100, at_most=1000), range(25)))
    assert taken.count(True) == 10
