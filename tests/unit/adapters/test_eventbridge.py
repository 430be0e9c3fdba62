"""PutEvents: how many entries go into a request, and what becomes of each that is not taken."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from refund_bridge.adapters.eventbridge import BYTES_MAX, CALL_MS, EventBridgeBus, entry_size
from refund_bridge.ports.events import Announcement
from tests.fakes.virtual_clock import VirtualClock
from tests.fakes.world import FakeTelemetry

BUS = "refund-bridge-test"
# 2024-02-29T23:59:59.999Z
AT_MS = 1_709_251_199_999


def announcement(number: int, size: int = 0) -> Announcement:
    detail = {"event_id": f"rfd:{number}", "text": "x" * size}
    return Announcement(id=f"rfd:{number}", name="Refund Succeeded", at_ms=AT_MS, detail=detail)


def some(count: int, size: int = 0) -> list[Announcement]:
    return [announcement(number, size) for number in range(count)]


class Bus:
    """An EventBridge that answers each request as it is told."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.requests: list[list[dict[str, Any]]] = []
        self.telemetry = FakeTelemetry()
        self.clock = VirtualClock()
        self.pauses: list[float] = []

    def put_events(self, *, Entries: list[dict[str, Any]]) -> Any:  # noqa: N803 - boto3's name
        self.requests.append(Entries)
        answer = self.answers.pop(0) if self.answers else {}
        if isinstance(answer, Exception):
            raise answer
        entries = [
            {"ErrorCode": answer[number]} if number in answer else {"EventId": str(number)}
            for number in range(len(Entries))
        ]
        return {"FailedEntryCount": len(answer), "Entries": entries}

    def publish(
        self, announcements: list[Announcement], *, budget_ms: int = 60_000
    ) -> frozenset[str]:
        client: Any = self
        bus = EventBridgeBus(
            client, BUS, self.telemetry, sleep=self.pauses.append, random=lambda: 0.0
        )
        return bus.publish(announcements, self.clock.deadline(budget_ms))

    @property
    def sent(self) -> list[list[str]]:
        """The ids that each request held."""
        return [[json.loads(e["Detail"])["event_id"] for e in request] for request in self.requests]


def refused(code: str) -> Exception:
    """A refusal of a whole request, as botocore tells it."""
    return ClientError({"Error": {"Code": code, "Message": "No."}}, "PutEvents")


def test_an_entry_says_what_subscribers_filter_by() -> None:
    bus = Bus()
    assert bus.publish(some(1)) == frozenset()
    ((entry,),) = bus.requests
    assert entry["Time"].isoformat() == "2024-02-29T23:59:59+00:00"
    del entry["Time"]
    assert entry == {
        "EventBusName": BUS,
        "Source": "refund-bridge",
        "DetailType": "Refund Succeeded",
        "Detail": '{"event_id":"rfd:0","text":""}',
    }


def test_nothing_to_publish_is_no_request() -> None:
    bus = Bus()
    assert bus.publish([]) == frozenset()
    assert bus.requests == []


def test_a_request_has_ten_entries_at_most_in_their_order() -> None:
    bus = Bus()
    assert bus.publish(some(23)) == frozenset()
    assert [len(request) for request in bus.sent] == [10, 10, 3]
    assert [event for request in bus.sent for event in request] == [f"rfd:{n}" for n in range(23)]


def test_and_less_than_256_kb_of_all_of_them() -> None:
    bus = Bus()
    whole = announcement(0)
    # Two that fill a request to the byte, and one that would be a byte too many.
    half = BYTES_MAX // 2 - entry_size(whole)
    rest = BYTES_MAX - entry_size(announcement(0, half)) - entry_size(whole)
    bus.publish([announcement(0, half), announcement(1, rest), announcement(2)])
    assert bus.sent == [["rfd:0", "rfd:1"], ["rfd:2"]]


def test_an_event_that_no_request_can_hold_is_not_sent_and_stops_no_other() -> None:
    bus = Bus()
    assert bus.publish([announcement(0, 300_000), announcement(1)]) == {"rfd:0"}
    assert bus.sent == [["rfd:1"]]
    assert bus.telemetry.events == ["event_too_large"]


def test_an_entry_that_is_refused_for_the_moment_is_sent_again_alone() -> None:
    bus = Bus({1: "ThrottlingException"}, {0: "InternalFailure"}, {})
    assert bus.publish(some(3)) == frozenset()
    assert bus.sent == [["rfd:0", "rfd:1", "rfd:2"], ["rfd:1"], ["rfd:1"]]
    assert bus.pauses == [0.2, 0.8]


def test_after_three_tries_it_is_missed() -> None:
    bus = Bus(*[{0: "ThrottlingException"}] * 3)
    assert bus.publish(some(2)) == {"rfd:0"}
    assert len(bus.requests) == 3


def test_an_entry_that_is_refused_for_good_is_not_sent_again() -> None:
    bus = Bus({0: "MalformedDetail", 2: "NotAuthorizedForSourceException"})
    assert bus.publish(some(3)) == {"rfd:0", "rfd:2"}
    assert len(bus.requests) == 1
    assert bus.telemetry.events == ["event_refused", "event_refused"]


def test_one_failed_chunk_does_not_stop_the_next() -> None:
    bus = Bus({0: "MalformedDetail"})
    assert bus.publish(some(12)) == {"rfd:0"}
    assert [len(request) for request in bus.sent] == [10, 2]


def test_a_request_that_is_throttled_is_made_again() -> None:
    bus = Bus(refused("ThrottlingException"))
    assert bus.publish(some(2)) == frozenset()
    assert len(bus.requests) == 2


@pytest.mark.parametrize(
    "answer",
    [
        ReadTimeoutError(endpoint_url="https://events"),
        "AccessDeniedException",
        "ValidationException",
    ],
)
def test_a_bus_that_is_away_or_refuses_all_is_asked_once(answer: Any) -> None:
    bus = Bus({}, answer if isinstance(answer, Exception) else refused(answer))
    missed = bus.publish(some(25))
    assert missed == {f"rfd:{n}" for n in range(10, 25)}
    assert len(bus.requests) == 2
    assert bus.telemetry.notes[0][0] == "bus_away"
    assert bus.telemetry.notes[0][1]["events"] == 15


def test_an_answer_for_fewer_entries_says_nothing_of_the_others() -> None:
    class Forgetful(Bus):
        def put_events(self, *, Entries: list[dict[str, Any]]) -> Any:  # noqa: N803
            self.requests.append(Entries)
            return {"FailedEntryCount": 0, "Entries": [{"EventId": "1"}]}

    bus = Forgetful()
    assert bus.publish(some(4)) == {"rfd:3"}
    assert [len(request) for request in bus.sent] == [4, 3, 2]


def test_nothing_is_begun_that_might_not_end_in_time() -> None:
    bus = Bus()
    assert bus.publish(some(2), budget_ms=CALL_MS - 1) == {"rfd:0", "rfd:1"}
    assert bus.requests == []


def test_half_a_character_of_a_callers_text_can_be_sent() -> None:
    bus = Bus()
    odd = Announcement(id="e", name="n", at_ms=AT_MS, detail={"event_id": "e", "text": "\ud800"})
    assert bus.publish([odd]) == frozenset()
    assert bus.requests[0][0]["Detail"].isascii()
