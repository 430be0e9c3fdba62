"""Both remember what a look came to, for as long as is said and for whoever asks."""

import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from refund_bridge.adapters.dynamodb.looks import DynamoDbLooks, slot_of
from refund_bridge.domain.arrival import Arrival
from refund_bridge.domain.errors import (
    CurrencyMismatchError,
    InvalidRequestError,
    PaymentNotFoundError,
    RefundBridgeError,
)
from refund_bridge.domain.payment import Payment, PaymentKey
from refund_bridge.ports.ledger import LedgerUnavailableError
from refund_bridge.refunding.recent_looks import LOOKING, Looked, Looks
from tests.contract.ledger.conftest import Table
from tests.fakes.looks import MemoryLooks

PAYMENT = Payment(
    key=PaymentKey("hitpay", "charge-1"),
    payment_record="pr_1",
    currency="sgd",
    captured=9999,
    foreign_on_charge=2500,
    arrival=Arrival(3, 5),
)


@pytest.fixture(params=["memory", "dynamodb"])
def looks(request: pytest.FixtureRequest) -> Looks:
    if request.param == "memory":
        return MemoryLooks()
    table: Table = request.getfixturevalue("table")
    return DynamoDbLooks(table.client, table.name)


@pytest.fixture
def what() -> str:
    return f"record#pr_{uuid.uuid4().hex}"


def test_the_first_has_it_and_the_others_are_told_that_somebody_is_at_it(
    looks: Looks, what: str
) -> None:
    assert looks.take(what, now_ms=1000, until_ms=2000) is None
    assert looks.take(what, now_ms=1999, until_ms=2999) == LOOKING


def test_what_it_came_to_is_told_until_its_end(looks: Looks, what: str) -> None:
    looks.take(what, now_ms=1000, until_ms=2000)
    looks.keep(what, Looked(word="learnt"), until_ms=2500)
    assert looks.take(what, now_ms=2499, until_ms=3499) == Looked(word="learnt")
    assert looks.take(what, now_ms=2500, until_ms=3500) is None
    assert looks.take(what, now_ms=2501, until_ms=3501) == LOOKING


def test_a_payment_comes_back_as_it_was_seen(looks: Looks, what: str) -> None:
    looks.keep(what, Looked(payment=PAYMENT), until_ms=2000)
    assert looks.take(what, now_ms=1500, until_ms=2500) == Looked(payment=PAYMENT)


@pytest.mark.parametrize(
    "refused",
    [
        PaymentNotFoundError("There is none.", details={"found": [{"id": "x"}], "tried": 2}),
        InvalidRequestError.at("payment_record", "is Stripe's own", "Name its PaymentIntent."),
        CurrencyMismatchError("It is in another.", details={"payment_currency": "sgd"}),
    ],
)
def test_a_refusal_comes_back_as_it_was_told(
    looks: Looks, what: str, refused: RefundBridgeError
) -> None:
    looks.keep(what, Looked(refused=refused), until_ms=2000)
    found = looks.take(what, now_ms=1500, until_ms=2500)
    assert found is not None
    assert found.refused is not None
    told = found.refused
    assert (type(told), told.message, told.details, told.param) == (
        type(refused),
        refused.message,
        refused.details,
        refused.param,
    )


def test_what_is_dropped_is_looked_at_again(looks: Looks, what: str) -> None:
    looks.take(what, now_ms=1000, until_ms=2000)
    looks.drop(what)
    assert looks.take(what, now_ms=1001, until_ms=2001) is None


def test_a_worker_whose_clock_is_ahead_stops_nobody(looks: Looks, what: str) -> None:
    looks.keep(what, Looked(word="learnt"), until_ms=900_000)
    assert looks.take(what, now_ms=1000, until_ms=2000) is None


def test_each_thing_has_its_own(looks: Looks, what: str) -> None:
    looks.keep(what, Looked(word="learnt"), until_ms=2000)
    assert looks.take(f"{what}-2", now_ms=1000, until_ms=2000) is None


def test_of_many_at_once_one_looks(looks: Looks, what: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: looks.take(what, now_ms=1000, until_ms=2000), range(25)))
    assert (found.count(None), found.count(LOOKING)) == (1, 24)


def test_however_many_are_looked_at_the_table_holds_no_more_than_its_slots(table: Table) -> None:
    # Given two things that share a slot
    first = f"record#{uuid.uuid4().hex}"
    names = (f"record#{number}" for number in range(100_000))
    second = next(name for name in names if slot_of(name) == slot_of(first))
    looks = DynamoDbLooks(table.client, table.name)
    looks.keep(first, Looked(word="learnt"), until_ms=2000)
    # When the second is looked at, then it takes the place of the first, which is looked at again
    assert looks.take(second, now_ms=1000, until_ms=2000) is None
    assert looks.take(first, now_ms=1000, until_ms=2000) is None


def test_what_only_another_release_can_tell_is_no_answer(table: Table, what: str) -> None:
    looks = DynamoDbLooks(table.client, table.name)
    looks.keep(what, Looked(refused=PaymentNotFoundError("x")), until_ms=2000)
    key = {"pk": f"look#{slot_of(what)}", "sk": "look"}
    stored = table.item(key) or {}
    stored["looked"]["refused"]["code"] = "something_new"
    table.put(stored)
    with pytest.raises(LedgerUnavailableError):
        looks.take(what, now_ms=1500, until_ms=2500)
