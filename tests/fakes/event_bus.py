"""The event bus in memory; tests/contract/event_bus runs the same tests on it and the real one."""

from collections.abc import Sequence
from typing import Any

from refund_bridge.adapters.eventbridge import BYTES_MAX, entry_size
from refund_bridge.ports.events import Announcement
from refund_bridge.ports.runtime import Deadline


class FakeEventBus:
    """``ports.events.EventBus``: keeps accepted events; can be unavailable, or refuse some."""

    def __init__(self) -> None:
        self.taken: list[Announcement] = []
        self.asked = 0
        self.is_away = False
        self.refuses: set[str] = set()

    def publish(self, announcements: Sequence[Announcement], deadline: Deadline) -> frozenset[str]:
        self.asked += 1
        if self.is_away or not deadline.remaining_ms():
            return frozenset(one.id for one in announcements)
        missed = {
            one.id for one in announcements if one.id in self.refuses or entry_size(one) > BYTES_MAX
        }
        self.taken += [one for one in announcements if one.id not in missed]
        return frozenset(missed)

    @property
    def names(self) -> list[str]:
        """The names of the published events, in order."""
        return [one.name for one in self.taken]

    def details(self, name: str) -> list[Any]:
        """The details of the events of one name."""
        return [one.detail for one in self.taken if one.name == name]
