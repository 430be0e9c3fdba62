from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from refunds.adapters.api_key import KeyUnavailableError
from refunds.adapters.webhook_salts import SALTS_MAX, WebhookSalts
from tests.unit.adapters.ssm_calls import PREFIX, Stub, scripted_client

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

NAME = f"{PREFIX}/hitpay-webhook-salts"
ASKED = {"Names": [NAME], "WithDecryption": True}


class WallClock:
    def __init__(self) -> None:
        self.wall = 1_800_000_000_000

    def now_ms(self) -> int:
        return self.wall

    def monotonic_ms(self) -> int:
        raise AssertionError("it may stand still while Lambda freezes the function")


@pytest.fixture
def scripted() -> Iterator[tuple["SSMClient", Stub]]:
    with scripted_client() as both:
        yield both


@pytest.fixture
def stub(scripted: tuple["SSMClient", Stub]) -> Stub:
    return scripted[1]


@pytest.fixture
def clock() -> WallClock:
    return WallClock()


@pytest.fixture
def salts(scripted: tuple["SSMClient", Stub], clock: WallClock) -> WebhookSalts:
    return WebhookSalts(scripted[0], PREFIX, max_age_s=60, clock=clock)


def stored(stub: Stub, value: str | None) -> None:
    found = [] if value is None else [{"Name": NAME, "Value": value}]
    stub.add_response({"Parameters": found, "InvalidParameters": []}, ASKED)


def test_several_salts_are_valid_at_a_time_and_kept(stub: Stub, salts: WebhookSalts) -> None:
    stored(stub, "new, old\nolder\n")
    assert salts.current() == salts.current() == ("new", "old", "older")


def test_no_more_salts_are_tried_than_anybody_needs(stub: Stub, salts: WebhookSalts) -> None:
    stored(stub, " ".join(map(str, range(SALTS_MAX + 1))))
    assert len(salts.current()) == SALTS_MAX


def test_a_salt_that_is_taken_out_stops_working(
    stub: Stub, salts: WebhookSalts, clock: WallClock
) -> None:
    stored(stub, "new old")
    assert salts.current() == ("new", "old")
    clock.wall += 60_000
    stored(stub, "new")
    assert salts.current() == ("new",)


def test_that_there_is_none_is_kept_too_since_anybody_may_call(
    stub: Stub, salts: WebhookSalts, clock: WallClock
) -> None:
    stored(stub, None)
    assert salts.current() == salts.current() == ()
    clock.wall += 60_000
    stored(stub, "new")
    assert salts.current() == ("new",)


def test_that_they_cannot_be_read_is_said_and_not_kept(stub: Stub, salts: WebhookSalts) -> None:
    stub.add_client_error("ThrottlingException", ASKED)
    with pytest.raises(KeyUnavailableError, match="ThrottlingException"):
        salts.current()
    stored(stub, "new")
    assert salts.current() == ("new",)
