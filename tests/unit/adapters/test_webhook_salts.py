"""The salts of HitPay's webhooks: read by name, kept for a while, and none where none is set."""

from collections.abc import Iterator

import pytest

from refunds.adapters.api_key import KeyUnavailableError
from refunds.adapters.webhook_salts import PARAMETER, SALTS_MAX, WebhookSalts
from tests.fakes.virtual_clock import VirtualClock
from tests.unit.adapters.ssm_calls import PREFIX, Stub, scripted_client

NAME = f"{PREFIX}/{PARAMETER}"
BY_NAME = {"Names": [NAME], "WithDecryption": True}


class Salts:
    """The salts, the clock that they are kept by, and what the Systems Manager answers."""

    def __init__(self, salts: WebhookSalts, stub: Stub, clock: VirtualClock) -> None:
        self.salts, self.stub, self.clock = salts, stub, clock

    def stored(self, value: str) -> None:
        """The next reading finds that value."""
        self.stub.add_response({"Parameters": [{"Name": NAME, "Value": value}]}, BY_NAME)

    def missing(self) -> None:
        """The next reading finds nothing."""
        self.stub.add_response({"Parameters": [], "InvalidParameters": [NAME]}, BY_NAME)


@pytest.fixture
def given() -> Iterator[Salts]:
    with scripted_client() as (client, stub):
        clock = VirtualClock()
        salts = WebhookSalts(client, PREFIX + "/", max_age_s=60, clock=clock)
        yield Salts(salts, stub, clock)


@pytest.mark.parametrize(
    ("value", "salts"),
    [
        ("one", ("one",)),
        ("one\n", ("one",)),
        ("one,two", ("one", "two")),
        (" one ,\n two  three,", ("one", "two", "three")),
        (",", ()),
        (" ", ()),
    ],
)
def test_several_are_separated_by_commas_or_white_space_and_none_is_empty(
    given: Salts, value: str, salts: tuple[str, ...]
) -> None:
    given.stored(value)
    assert given.salts.current() == salts


def test_there_are_never_more_than_its_most(given: Salts) -> None:
    # Each is tried on every webhook, and anybody may send one.
    given.stored(" ".join(str(number) for number in range(SALTS_MAX + 1)))
    assert len(given.salts.current()) == SALTS_MAX


def test_they_are_read_once_for_many_webhooks(given: Salts) -> None:
    given.stored("one")
    assert [given.salts.current() for _ in range(3)] == [("one",)] * 3


def test_where_none_is_set_nobody_is_asked_again_for_a_while(given: Salts) -> None:
    # Given a stage without a webhook
    given.missing()
    assert [given.salts.current() for _ in range(3)] == [()] * 3
    # When one is set up
    given.clock.advance(60_000)
    given.stored("one")
    # Then it is known after that while
    assert given.salts.current() == ("one",)


def test_a_systems_manager_without_an_answer_makes_nobody_genuine(given: Salts) -> None:
    given.stub.add_client_error("AccessDeniedException", BY_NAME)
    with pytest.raises(KeyUnavailableError):
        given.salts.current()


def test_no_salt_shows_in_its_name(given: Salts) -> None:
    given.stored("one")
    given.salts.current()
    assert repr(given.salts) == f"WebhookSalts({NAME})"
