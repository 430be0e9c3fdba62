"""One API call as a provider's desk sees it, and what the desk answers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from local.simulators.json_text import JsonObject, encode


@dataclass(frozen=True)
class View:
    """What a look-up may see: a lagging replica does not know the newest refunds."""

    recorded_until: float | None = None
    object_hidden: bool = False

    def shows(self, recorded: float) -> bool:
        """Say whether a refund recorded at this monotonic time is visible."""
        return self.recorded_until is None or recorded <= self.recorded_until


EVERYTHING = View()


@dataclass(frozen=True)
class ApiCall:
    """An API call: what is asked (operation), about what (target), with what (parameters)."""

    operation: str
    method: str
    path: str
    base_url: str
    target: str
    parameters: JsonObject
    headers: Mapping[str, str] = field(repr=False)

    def names(self, subject: str) -> bool:
        """Say whether the call is about an id: in its path or as one of its parameters."""
        return subject == self.target or subject in self.parameters.values()


@dataclass(frozen=True)
class Answer:
    """A status, a JSON payload and headers; raw, when set, is sent in the payload's place."""

    status: int
    payload: object = None
    headers: Mapping[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    content_type: str = "application/json"
    replayed: bool = False

    @property
    def body(self) -> bytes:
        """The bytes that go out."""
        return encode(self.payload).encode() if self.raw is None else self.raw


class Refusal(Exception):  # noqa: N818 -- it is a provider's regular answer, not our error
    """The provider says no; kept says whether Stripe stores it under the idempotency key."""

    def __init__(self, answer: Answer, *, kept: bool = True) -> None:
        super().__init__(f"{answer.status}: {answer.payload}")
        self.answer = answer
        self.kept = kept


class Desk(Protocol):
    """A provider's side of an exchange. Nothing here awaits: check and commit are one step."""

    provider: str

    def admit(self, call: ApiCall) -> Answer | None:
        """Answer at once (unknown key, replay, conflict), or take the call in with None."""

    def process(self, call: ApiCall, view: View) -> Answer:
        """Do what an admitted call asks, refusals included."""

    def remember(self, call: ApiCall, answer: Answer) -> None:
        """Keep this answer as the call's, where the provider keeps answers at all."""

    def failure(self, status: int) -> Answer:
        """Return the provider's own kind of answer with this error status."""

    def bend(self, payload: JsonObject, variant: str) -> JsonObject:
        """Return a payload that disagrees: another amount, currency or payment, or no id."""
