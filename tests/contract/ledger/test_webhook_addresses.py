"""How an address does: the states in memory, and the real ones in the ledger's table."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest

from refund_bridge.adapters.dynamodb.webhook_addresses import DynamoDbWebhookAddresses
from refund_bridge.delivering.ports import AddressState, AddressStates, Slot, Status
from tests.contract.ledger.conftest import Table
from tests.contract.ledger.examples import NOW
from tests.fakes.webhooks import MemoryAddressStates

UNTIL = NOW + 90_000


@pytest.fixture(params=["memory", "dynamodb"])
def states(request: pytest.FixtureRequest) -> AddressStates:
    if request.param == "memory":
        return MemoryAddressStates()
    table: Table = request.getfixturevalue("table")
    return DynamoDbWebhookAddresses(table.client, table.name)


@pytest.fixture
def address_id(states: AddressStates) -> Iterator[str]:
    """An address that is enabled, for this test alone."""
    made = f"we_{uuid4().hex[:16]}"
    states.set_status(made, Status.ENABLED, now_ms=NOW)
    yield made
    states.set_status(made, Status.REMOVED, now_ms=NOW)


def now(states: AddressStates, address_id: str) -> AddressState:
    state = states.state(address_id)
    assert state is not None
    return state


def slot(states: AddressStates, address_id: str, number: int = 0, *, now_ms: int = NOW) -> Slot:
    taken = states.take_slot(
        now(states, address_id), number, now_ms=now_ms, until_ms=now_ms + 90_000
    )
    assert taken is not None
    return taken


def fail(states: AddressStates, address_id: str, times: int) -> AddressState:
    for _ in range(times):
        taken = slot(states, address_id)
        states.free(taken, delivered=0, error="it answered 500", now_ms=NOW)
    return now(states, address_id)


def test_an_address_that_was_never_added_has_no_state(states: AddressStates) -> None:
    assert states.state("we_ffffffffffffffff") is None
    assert "we_ffffffffffffffff" not in states.enabled()


def test_who_is_told_are_those_that_are_enabled(states: AddressStates, address_id: str) -> None:
    assert address_id in states.enabled()
    states.set_status(address_id, Status.DISABLED, now_ms=NOW, reason="by a person")
    assert address_id not in states.enabled()
    assert now(states, address_id).reason == "by a person"
    assert address_id in [state.id for state in states.states()]
    states.set_status(address_id, Status.REMOVED, now_ms=NOW)
    assert address_id not in [state.id for state in states.states()]
    assert now(states, address_id).status is Status.REMOVED


def test_a_place_is_one_workers_until_it_is_given_back(
    states: AddressStates, address_id: str
) -> None:
    before = now(states, address_id)
    taken = slot(states, address_id, 1)
    assert not taken.is_probe
    assert states.take_slot(before, 1, now_ms=NOW, until_ms=UNTIL) is None
    assert now(states, address_id).free_slot(NOW, places=2) == 0
    states.free(taken, delivered=1, error=None, now_ms=NOW)
    assert states.take_slot(before, 1, now_ms=NOW, until_ms=UNTIL) is not None


def test_a_place_whose_time_is_over_can_be_taken(states: AddressStates, address_id: str) -> None:
    slot(states, address_id)
    assert now(states, address_id).free_slot(UNTIL - 1, places=1) is None
    assert now(states, address_id).free_slot(UNTIL, places=1) == 0
    assert slot(states, address_id, now_ms=UNTIL).until_ms == UNTIL + 90_000


def test_of_many_that_want_a_place_one_gets_it(states: AddressStates, address_id: str) -> None:
    before = now(states, address_id)
    with ThreadPoolExecutor(8) as pool:
        taken = list(
            pool.map(
                lambda one: states.take_slot(before, 0, now_ms=NOW, until_ms=UNTIL + one),
                range(24),
            )
        )
    assert sum(one is not None for one in taken) == 1


def test_nothing_is_sent_to_one_that_is_disabled(states: AddressStates, address_id: str) -> None:
    before = now(states, address_id)
    states.set_status(address_id, Status.DISABLED, now_ms=NOW)
    assert states.take_slot(before, 0, now_ms=NOW, until_ms=UNTIL) is None


def test_failures_are_counted_until_something_is_taken(
    states: AddressStates, address_id: str
) -> None:
    state = fail(states, address_id, 3)
    assert (state.failures, state.failed, state.last_error) == (3, 3, "it answered 500")
    taken = slot(states, address_id)
    opened = states.free(taken, delivered=2, error="it answered 500", now_ms=NOW + 7)
    assert opened is not None
    assert (opened.failures, opened.failed, opened.delivered) == (1, 4, 2)
    assert opened.last_delivered_at_ms == NOW + 7
    states.free(slot(states, address_id), delivered=1, error=None, now_ms=NOW)
    assert (now(states, address_id).failures, now(states, address_id).last_error) == (0, None)


def test_a_closed_address_is_left_alone(states: AddressStates, address_id: str) -> None:
    before = now(states, address_id)
    assert states.close(fail(states, address_id, 5), until_ms=NOW + 1000)
    state = now(states, address_id)
    assert state.is_closed(NOW)
    assert state.closures == 1
    assert states.take_slot(before, 0, now_ms=NOW, until_ms=UNTIL) is None
    assert states.take_slot(state, 0, now_ms=NOW, until_ms=UNTIL) is None


def test_one_of_those_that_saw_the_same_closes_it(states: AddressStates, address_id: str) -> None:
    state = fail(states, address_id, 5)
    assert states.close(state, until_ms=NOW + 1000)
    assert not states.close(state, until_ms=NOW + 2000)
    assert now(states, address_id).closures == 1


def test_when_its_time_is_over_one_probes(states: AddressStates, address_id: str) -> None:
    states.close(fail(states, address_id, 5), until_ms=NOW + 1000)
    state, later = now(states, address_id), NOW + 1000
    probe = states.take_slot(state, 0, now_ms=later, until_ms=later + 90_000)
    assert probe is not None
    assert probe.is_probe
    assert now(states, address_id).is_closed(later)
    assert states.take_slot(state, 1, now_ms=later, until_ms=later + 90_000) is None
    opened = states.free(probe, delivered=1, error=None, now_ms=later)
    assert opened is not None
    assert (opened.closed_until_ms, opened.closures, opened.failures) == (None, 0, 0)


def test_a_probe_that_fails_closes_it_again(states: AddressStates, address_id: str) -> None:
    states.close(fail(states, address_id, 5), until_ms=NOW + 1000)
    probe = slot(states, address_id, now_ms=NOW + 1000)
    state = states.free(probe, delivered=0, error="no answer in time", now_ms=NOW + 11_000)
    assert state is not None
    assert (state.failures, state.closures) == (6, 1)
    assert states.close(state, until_ms=NOW + 600_000)
    assert now(states, address_id).closures == 2


def test_a_probe_of_which_nothing_came_leaves_it_to_the_next(
    states: AddressStates, address_id: str
) -> None:
    states.close(fail(states, address_id, 5), until_ms=NOW + 1000)
    probe = slot(states, address_id, now_ms=NOW + 1000)
    states.free(probe, delivered=0, error=None, now_ms=NOW + 1001)
    assert slot(states, address_id, now_ms=NOW + 1001).is_probe


def test_enabled_again_it_is_open(states: AddressStates, address_id: str) -> None:
    states.close(fail(states, address_id, 5), until_ms=NOW + 1000)
    states.set_status(address_id, Status.DISABLED, now_ms=NOW, reason="it answered 410 Gone")
    states.set_status(address_id, Status.ENABLED, now_ms=NOW)
    state = now(states, address_id)
    assert (state.failures, state.closed_until_ms, state.closures) == (0, None, 0)
    assert (state.reason, state.last_error) == (None, None)
    assert state.failed == 5


def test_a_place_of_an_address_that_was_never_added_is_nobodys(states: AddressStates) -> None:
    slot = Slot(address_id="we_ffffffffffffffff", number=0, until_ms=UNTIL)
    assert states.free(slot, delivered=1, error=None, now_ms=NOW) is None
    assert states.state("we_ffffffffffffffff") is None
