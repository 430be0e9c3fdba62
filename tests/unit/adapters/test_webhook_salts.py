from typing import TYPE_CHECKING

import pytest

from refund_bridge.adapters.ssm.webhook_salts import SALTS_MAX, WebhookSalts
from refund_bridge.domain.errors import KeysUnavailableError
from tests.fakes.world import FakeTelemetry
from tests.unit.adapters.ssm_calls import PREFIX, Stub

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


NEW, OLD, OLDER = "the-new-salt-of-hitpay", "the-old-salt-of-hitpay", "an-older-salt-of-hitpay"


@pytest.fixture
def clock() -> WallClock:
    return WallClock()


@pytest.fixture
def salts(scripted: tuple["SSMClient", Stub], clock: WallClock) -> WebhookSalts:
    return WebhookSalts(scripted[0], PREFIX, max_age_s=60, clock=clock, telemetry=FakeTelemetry())


def stored(stub: Stub, value: str | None) -> None:
    found = [] if value is None else [{"Name": NAME, "Value": value}]
    stub.add_response({"Parameters": found, "InvalidParameters": []}, ASKED)


def test_several_salts_are_valid_at_a_time_and_kept(stub: Stub, salts: WebhookSalts) -> None:
    stored(stub, f"{NEW}, {OLD}\n{OLDER}\n")
    assert salts.current() == salts.current() == (NEW, OLD, OLDER)


def test_no_more_salts_are_tried_than_anybody_needs(stub: Stub, salts: WebhookSalts) -> None:
    stored(stub, " ".join(f"a-salt-of-hitpays-{n}" for n in range(SALTS_MAX + 1)))
    assert len(salts.current()) == SALTS_MAX


def test_a_salt_that_is_taken_out_stops_working(
    stub: Stub, salts: WebhookSalts, clock: WallClock
) -> None:
    stored(stub, f"{NEW} {OLD}")
    assert salts.current() == (NEW, OLD)
    clock.wall += 60_000
    stored(stub, NEW)
    assert salts.current() == (NEW,)


def test_that_there_is_none_is_kept_too_since_anybody_may_call(
    stub: Stub, salts: WebhookSalts, clock: WallClock
) -> None:
    stored(stub, None)
    assert salts.current() == salts.current() == ()
    clock.wall += 60_000
    stored(stub, NEW)
    assert salts.current() == (NEW,)


def test_that_they_cannot_be_read_is_said_and_not_kept(stub: Stub, salts: WebhookSalts) -> None:
    stub.add_client_error("AccessDeniedException", ASKED)
    with pytest.raises(KeysUnavailableError, match="nothing was executed"):
        salts.current()
    stored(stub, NEW)
    assert salts.current() == (NEW,)


def test_a_salt_that_can_be_guessed_makes_no_webhook_genuine(
    stub: Stub, salts: WebhookSalts
) -> None:
    stored(stub, f"salt, {NEW}, {'x' * 15}, {'x' * 16}")
    assert salts.current() == (NEW, "x" * 16)
