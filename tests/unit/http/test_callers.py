"""Who is let in, and under which name: by a key, or by the gateway's word."""

from dataclasses import dataclass, field
from decimal import Decimal

import pytest

from refund_bridge.domain.errors import ForbiddenError, RateLimitedError, UnauthorizedError
from refund_bridge.http.address_throttle import AddressThrottle
from refund_bridge.http.callers import (
    READ,
    WRITE,
    ApiKeyHolder,
    Callers,
    Credentials,
    KeyCallers,
    SignedCallers,
)
from tests.fakes.virtual_clock import VirtualClock

ADDRESS = "192.0.2.10"


@dataclass
class Ring:
    """Keys in memory, and how often one was asked for."""

    holders: dict[str, ApiKeyHolder]
    asked: list[str] = field(default_factory=list)

    def holder_of(self, bearer_token: str) -> ApiKeyHolder | None:
        self.asked.append(bearer_token)
        return self.holders.get(bearer_token)


class Notes:
    """The refusals that were noted."""

    def __init__(self) -> None:
        self.refused: list[tuple[object, object]] = []

    def note(self, event: str, **facts: str | int | bool | Decimal | None) -> None:
        assert event == "api_key_refused"
        assert set(facts) == {"reason", "caller"}
        self.refused.append((facts["reason"], facts["caller"]))


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def notes() -> Notes:
    return Notes()


@pytest.fixture
def ring() -> Ring:
    both, reads = frozenset({READ, WRITE}), frozenset({READ})
    return Ring(
        {
            "rbk_old": ApiKeyHolder("shop", both),
            "rbk_new": ApiKeyHolder("shop", both),
            "rbk_desk": ApiKeyHolder("desk", reads),
        }
    )


@pytest.fixture
def callers(ring: Ring, clock: VirtualClock, notes: Notes) -> KeyCallers:
    return KeyCallers(ring, AddressThrottle(clock), notes)


def shown(authorization: str | None, *, source_ip: str = ADDRESS) -> Credentials:
    return Credentials(authorization=authorization, source_ip=source_ip, user_arn=None)


def signed(user_arn: str | None) -> Credentials:
    return Credentials(authorization="Bearer rbk_new", source_ip=ADDRESS, user_arn=user_arn)


def test_scopes_are_called_what_keys_call_them() -> None:
    assert (READ, WRITE) == ("refunds:read", "refunds:write")


class TestKeys:
    """``ApiAuth`` bearer."""

    @pytest.mark.parametrize(
        "authorization", ["Bearer rbk_new", "bearer rbk_new", "BEARER   rbk_new  "]
    )
    def test_a_valid_key_tells_its_holder(
        self, callers: Callers, notes: Notes, authorization: str
    ) -> None:
        assert callers.admitted(shown(authorization), WRITE) == "api_key:shop"
        assert notes.refused == []

    def test_two_keys_of_one_holder_are_one_caller(self, callers: Callers) -> None:
        names = {callers.admitted(shown(f"Bearer rbk_{key}"), READ) for key in ("old", "new")}
        assert names == {"api_key:shop"}

    @pytest.mark.parametrize(
        "authorization",
        [None, "", "Bearer", "Bearer ", "rbk_new", "Basic rbk_new", "Bearer\trbk_new"],
    )
    def test_without_a_key_nobody_is_asked_for(
        self, callers: Callers, ring: Ring, notes: Notes, authorization: str | None
    ) -> None:
        with pytest.raises(UnauthorizedError):
            callers.admitted(shown(authorization), READ)
        assert ring.asked == []
        assert notes.refused == [("missing", None)]

    def test_a_key_without_the_scope_may_not(self, callers: Callers, notes: Notes) -> None:
        assert callers.admitted(shown("Bearer rbk_desk"), READ) == "api_key:desk"
        with pytest.raises(ForbiddenError, match="it needs refunds:write\\."):
            callers.admitted(shown("Bearer rbk_desk"), WRITE)
        assert notes.refused == [("scope", "desk")]

    def test_after_ten_unknown_keys_an_address_has_to_wait_before_it_shows_another(
        self, callers: Callers, notes: Notes, clock: VirtualClock
    ) -> None:
        for number in range(10):
            with pytest.raises(UnauthorizedError):
                callers.admitted(shown(f"Bearer rbk_{number}"), READ)
        with pytest.raises(RateLimitedError) as refused:
            callers.admitted(shown("Bearer rbk_10"), READ)
        assert refused.value.retry_after_s == 60
        assert notes.refused == [("unknown", None)] * 10 + [("throttled", None)]
        clock.advance(60_000)
        with pytest.raises(UnauthorizedError):
            callers.admitted(shown("Bearer rbk_11"), READ)

    def test_a_valid_key_never_waits(self, callers: Callers) -> None:
        for _ in range(20):
            with pytest.raises((UnauthorizedError, RateLimitedError)):
                callers.admitted(shown("Bearer rbk_nobody"), READ)
        assert callers.admitted(shown("Bearer rbk_new"), READ) == "api_key:shop"

    def test_nor_does_somebody_elsewhere(self, callers: Callers) -> None:
        for _ in range(20):
            with pytest.raises((UnauthorizedError, RateLimitedError)):
                callers.admitted(shown("Bearer rbk_nobody"), READ)
        with pytest.raises(UnauthorizedError):
            callers.admitted(shown("Bearer rbk_nobody", source_ip="192.0.2.11"), READ)

    def test_the_gateways_word_on_a_signature_means_nothing_here(self, callers: Callers) -> None:
        unsigned = Credentials(None, ADDRESS, "arn:aws:iam::111122223333:user/shop")
        with pytest.raises(UnauthorizedError):
            callers.admitted(unsigned, READ)

    def test_a_key_is_in_no_text_of_what_came_with_it(self) -> None:
        assert "rbk_new" not in repr(shown("Bearer rbk_new"))


class TestSignatures:
    """``ApiAuth`` AWS_IAM."""

    @pytest.mark.parametrize(
        ("arn", "name"),
        [
            ("arn:aws:iam::111122223333:user/shop", "iam:arn:aws:iam::111122223333:user/shop"),
            ("arn:aws:iam::111122223333:root", "iam:arn:aws:iam::111122223333:root"),
            (
                "arn:aws:iam::111122223333:user/division/shop",
                "iam:arn:aws:iam::111122223333:user/division/shop",
            ),
            (
                "arn:aws:sts::111122223333:assumed-role/shop/mia@example.com",
                "iam:arn:aws:sts::111122223333:assumed-role/shop",
            ),
            (
                "arn:aws:sts::111122223333:federated-user/mia@example.com",
                "iam:arn:aws:sts::111122223333:federated-user",
            ),
        ],
    )
    @pytest.mark.parametrize("scope", [READ, WRITE])
    def test_whom_the_gateway_let_in_is_named_by_the_gateway(
        self, notes: Notes, arn: str, name: str, scope: str
    ) -> None:
        assert SignedCallers(notes).admitted(signed(arn), scope) == name
        assert notes.refused == []

    @pytest.mark.parametrize("arn", [None, ""])
    def test_without_the_gateways_word_nobody_is_let_in_key_or_not(
        self, notes: Notes, arn: str | None
    ) -> None:
        with pytest.raises(UnauthorizedError):
            SignedCallers(notes).admitted(signed(arn), READ)
        assert notes.refused == [("unsigned", None)]


def test_whoever_comes_without_a_key_is_counted_as_with_an_unknown_one(
    notes: Notes, clock: VirtualClock
) -> None:
    callers = KeyCallers(Ring({}), AddressThrottle(clock), notes)
    refusals = []
    for _ in range(20):
        with pytest.raises((UnauthorizedError, RateLimitedError)) as refused:
            callers.admitted(Credentials(None, "192.0.2.1", None), READ)
        refusals.append(type(refused.value))
    assert refusals[0] is UnauthorizedError
    assert refusals[-1] is RateLimitedError
