"""A batch of the ledger's stream: what is answered to Lambda, in good times and bad."""

import json
from typing import Any

import pytest

from deployed import paths
from functions.publish_events.app import handler
from refund_bridge.bootstrap.publish_events import PublishEventsWorld
from refund_bridge.delivering.ports import Status
from refund_bridge.delivering.ring import RingForWebhooks
from refund_bridge.events.announce import AnnounceChanges
from tests.fakes.backlog import MemoryBacklog
from tests.fakes.event_bus import FakeEventBus
from tests.fakes.webhooks import MemoryAddressStates, MemoryBell, MemoryCursors
from tests.fakes.world import World

SAMPLE = paths.ROOT / "events" / "publish_events_dynamodb.json"


class Publishing:
    """The function's world, with everything that it talks to in memory."""

    def __init__(self) -> None:
        self.world = World()
        self.bus = FakeEventBus()
        self.backlog = MemoryBacklog()
        announce = AnnounceChanges(
            payments=lambda _: {},
            bus=self.bus,
            backlog=self.backlog,
            clock=self.world.clock,
            telemetry=self.world.telemetry,
        )
        self.cursors, self.states = MemoryCursors(), MemoryAddressStates()
        self.webhooks = MemoryBell()
        ring = RingForWebhooks(
            cursors=self.cursors,
            states=self.states,
            bell=self.webhooks,
            clock=self.world.clock,
            telemetry=self.world.telemetry,
            step_ms=60_000,
        )
        self.function = PublishEventsWorld(announce=announce, ring=ring, clock=self.world.clock)

    def handle(self) -> Any:
        context: Any = type(
            "Context",
            (),
            {
                "function_name": "f",
                "memory_limit_in_mb": 1,
                "invoked_function_arn": "arn",
                "aws_request_id": "r",
            },
        )()
        return handler(json.loads(SAMPLE.read_text()), context)


@pytest.fixture
def publishing(monkeypatch: pytest.MonkeyPatch) -> Publishing:
    publishing = Publishing()
    monkeypatch.setattr(
        "functions.publish_events.app.publish_events", lambda _: publishing.function
    )
    return publishing


def test_a_change_is_told_and_nothing_comes_back(publishing: Publishing) -> None:
    assert publishing.handle() == {"batchItemFailures": []}
    assert publishing.bus.names == ["Refund Succeeded"]


def test_with_the_bus_away_it_is_kept_and_nothing_comes_back(publishing: Publishing) -> None:
    publishing.bus.is_away = True
    assert publishing.handle() == {"batchItemFailures": []}
    assert len(publishing.backlog.rows) == 1


def test_with_the_ledger_away_too_the_stream_shows_it_again(publishing: Publishing) -> None:
    publishing.bus.is_away = publishing.backlog.is_away = True
    (number,) = [
        record["dynamodb"]["SequenceNumber"] for record in json.loads(SAMPLE.read_text())["Records"]
    ]
    assert publishing.handle() == {"batchItemFailures": [{"itemIdentifier": number}]}


ADDRESS = "we_00000000000000aa"


def test_each_enabled_address_is_rung_for_with_ids_only(publishing: Publishing) -> None:
    publishing.states.set_status(ADDRESS, Status.ENABLED, now_ms=0)
    publishing.states.set_status("we_00000000000000bb", Status.DISABLED, now_ms=0)
    assert publishing.handle() == {"batchItemFailures": []}
    ((refund_id, address_id),) = publishing.webhooks.rung
    assert address_id == ADDRESS
    assert publishing.cursors.cursor(refund_id, ADDRESS) is not None


def test_with_the_webhooks_queue_away_nothing_comes_back_and_nothing_is_lost(
    publishing: Publishing,
) -> None:
    publishing.states.set_status(ADDRESS, Status.ENABLED, now_ms=0)
    publishing.webhooks.is_broken = True
    assert publishing.handle() == {"batchItemFailures": []}
    (row,) = publishing.cursors.rows.values()
    assert row.due_ms == publishing.world.clock.now_ms()


def test_what_addresses_are_owed_could_not_be_noted_so_the_stream_shows_it_again(
    publishing: Publishing,
) -> None:
    publishing.states.set_status(ADDRESS, Status.ENABLED, now_ms=0)
    publishing.cursors.is_away = True
    assert len(publishing.handle()["batchItemFailures"]) == 1
    # The bus was told all the same.
    assert publishing.bus.names == ["Refund Succeeded"]
