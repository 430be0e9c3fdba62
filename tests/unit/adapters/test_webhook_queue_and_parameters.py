"""The webhooks' queue and their parameters, as AWS answers."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from refund_bridge.adapters.http.api_key import KeyUnavailableError
from refund_bridge.adapters.sqs.webhook_bell import SqsWebhookBell
from refund_bridge.adapters.ssm.webhook_addresses import REREAD_EVERY_MS, SsmWebhookAddresses
from refund_bridge.delivering.address import (
    ADDRESSES_MAX,
    SigningSecret,
    WebhookAddress,
    address_text,
)
from tests.fakes.virtual_clock import VirtualClock
from tests.fakes.world import FakeTelemetry

PAIRS = [(f"rfd_{number}", "we_00000000000000aa") for number in range(25)]
AWAY = EndpointConnectionError(endpoint_url="https://sqs")


class Queue:
    """SQS as far as it is asked; answers nothing from a message on."""

    def __init__(self, *, away_from: int = 99) -> None:
        self.sent: list[str] = []
        self.asked = 0
        self._away_from = away_from

    def send_message(self, *, QueueUrl: str, MessageBody: str) -> None:  # noqa: N803
        self.asked += 1
        if len(self.sent) >= self._away_from:
            raise AWAY
        self.sent.append(MessageBody)


def test_each_pair_is_a_message_of_its_two_ids() -> None:
    queue: Any = Queue()
    assert SqsWebhookBell(queue, "queue").ring(PAIRS) == []
    told = [json.loads(one) for one in queue.sent]
    assert [(one["refund_id"], one["address_id"]) for one in told] == PAIRS


def test_a_queue_that_is_away_is_not_asked_again() -> None:
    queue: Any = Queue(away_from=10)
    assert SqsWebhookBell(queue, "queue").ring(PAIRS) == PAIRS[10:]
    assert queue.asked == 11


ADDRESS = WebhookAddress(
    id="we_00000000000000aa",
    url="https://shop.example.com/",
    secrets=(SigningSecret("whsec_" + "a" * 40),),
)


class Parameters:
    """The Systems Manager as far as it is asked."""

    def __init__(self, *texts: str) -> None:
        self.texts = list(texts)
        self.asked = 0
        self.is_away = False

    def get_parameters_by_path(self, **asked: Any) -> Any:
        assert asked["Path"] == "/refund-bridge/test/webhooks"
        assert asked["WithDecryption"]
        self.asked += 1
        if self.is_away:
            raise ClientError({"Error": {"Code": "AccessDeniedException"}}, "GetParametersByPath")
        return {"Parameters": [{"Value": text} for text in self.texts]}


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def telemetry() -> FakeTelemetry:
    return FakeTelemetry()


def book(parameters: Any, clock: VirtualClock, telemetry: FakeTelemetry) -> SsmWebhookAddresses:
    return SsmWebhookAddresses(
        parameters, "/refund-bridge/test", max_age_s=60, clock=clock, telemetry=telemetry
    )


def test_an_address_is_read_once_and_kept(clock: VirtualClock, telemetry: FakeTelemetry) -> None:
    parameters = Parameters(address_text(ADDRESS))
    one = book(parameters, clock, telemetry)
    assert one.address(ADDRESS.id) == one.address(ADDRESS.id) == ADDRESS
    assert parameters.asked == 1
    clock.advance(61_000)
    one.address(ADDRESS.id)
    assert parameters.asked == 2


def test_one_that_was_just_made_is_found_at_once(
    clock: VirtualClock, telemetry: FakeTelemetry
) -> None:
    # Given a book that has just looked for another one that is missing
    parameters = Parameters()
    one = book(parameters, clock, telemetry)
    assert one.address("we_0000000000000001") is None
    # When an address is added, then it is found
    parameters.texts.append(address_text(ADDRESS))
    assert one.address(ADDRESS.id) == ADDRESS


def test_one_that_is_missing_is_not_looked_for_all_the_time(
    clock: VirtualClock, telemetry: FakeTelemetry
) -> None:
    parameters = Parameters()
    one = book(parameters, clock, telemetry)
    for _ in range(50):
        assert one.address(ADDRESS.id) is None
    assert parameters.asked == 2
    # And is looked for once more when its time is over
    clock.advance(REREAD_EVERY_MS)
    assert one.address(ADDRESS.id) is None
    assert parameters.asked == 3


def test_of_any_number_that_are_missing_few_are_looked_for(
    clock: VirtualClock, telemetry: FakeTelemetry
) -> None:
    # Given more ids than there may be addresses
    parameters = Parameters()
    one = book(parameters, clock, telemetry)
    # When each is asked for, then they are read once, and once more for as many as there may be
    for number in range(100):
        assert one.address(f"we_{number:016x}") is None
    assert parameters.asked == 1 + ADDRESSES_MAX


def test_whoever_asks_for_it_anew_is_told_as_it_is_now(
    clock: VirtualClock, telemetry: FakeTelemetry
) -> None:
    # Given a book that has just looked for one that is missing
    parameters = Parameters()
    one = book(parameters, clock, telemetry)
    assert one.address("we_0000000000000001") is None
    # When an address is added, then it is found at once by who asks for it anew
    parameters.texts.append(address_text(ADDRESS))
    assert one.address(ADDRESS.id, anew=True) == ADDRESS


def test_one_that_cannot_be_read_stops_no_other_and_is_not_shown(
    clock: VirtualClock, telemetry: FakeTelemetry
) -> None:
    one = book(Parameters('{"whsec_": 1}', address_text(ADDRESS)), clock, telemetry)
    assert one.address(ADDRESS.id) == ADDRESS
    assert telemetry.notes == [("webhook_address_unreadable", {})]


def test_while_they_cannot_be_read_nothing_is_taken_to_be_missing(
    clock: VirtualClock, telemetry: FakeTelemetry
) -> None:
    parameters = Parameters(address_text(ADDRESS))
    parameters.is_away = True
    with pytest.raises(KeyUnavailableError):
        book(parameters, clock, telemetry).address(ADDRESS.id)
