"""What an event bus promises: what it takes arrives whole, and it names what it does not take."""

from typing import Any

from refund_bridge.ports.events import Announcement
from tests.contract.event_bus.conftest import Subject
from tests.fakes.virtual_clock import VirtualClock

# 2024-02-29T23:59:59.999Z
AT_MS = 1_709_251_199_999
BUDGET_MS = 60_000


def announcement(number: int, **detail: Any) -> Announcement:
    event_id = f"rfd_{number}:2"
    return Announcement(
        id=event_id,
        name=f"Refund {number}",
        at_ms=AT_MS,
        detail={"event_id": event_id, **detail},
    )


def publish(subject: Subject, *announcements: Announcement) -> frozenset[str]:
    return subject.bus.publish(announcements, VirtualClock().deadline(BUDGET_MS))


def test_an_event_arrives_as_it_was_told(subject: Subject) -> None:
    detail = {
        "amount": 999_999_999_999,
        "metadata": {"naïve": "\U0001f4b8", "empty": "", "line": "a\nb\x01"},
        "failure": None,
        "payment": {"amount": 9999, "status": "partially_refunded"},
        "flags": [True, False],
    }
    assert publish(subject, announcement(1, **detail)) == frozenset()
    assert subject.heard() == [("Refund 1", {"event_id": "rfd_1:2", **detail})]


def test_many_events_arrive_each_once(subject: Subject) -> None:
    announcements = [announcement(number) for number in range(25)]
    assert publish(subject, *announcements) == frozenset()
    heard = subject.heard()
    assert sorted(str(name) for name, _ in heard) == sorted(one.name for one in announcements)


def test_nothing_is_told_of_nothing(subject: Subject) -> None:
    assert publish(subject) == frozenset()
    assert subject.heard() == []


def test_an_event_that_is_too_large_is_named_and_the_others_arrive(subject: Subject) -> None:
    missed = publish(subject, announcement(1), announcement(2, text="x" * 300_000), announcement(3))
    assert missed == {"rfd_2:2"}
    assert [name for name, _ in subject.heard()] == ["Refund 1", "Refund 3"]


def test_without_time_nothing_is_published_and_all_is_named(subject: Subject) -> None:
    over = VirtualClock().deadline(0)
    missed = subject.bus.publish([announcement(1), announcement(2)], over)
    assert missed == {"rfd_1:2", "rfd_2:2"}
    assert subject.heard() == []


def test_what_is_published_again_arrives_again_under_its_id(subject: Subject) -> None:
    for _ in range(2):
        assert publish(subject, announcement(1)) == frozenset()
    assert subject.heard() == [("Refund 1", {"event_id": "rfd_1:2"})] * 2
