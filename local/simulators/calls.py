"""One API call as a provider's desk sees it (the part that decides), and the desk's answer."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from local.simulators.json_text import JsonObject, encode


@dataclass(frozen=True)
class View:
    """What a read may see: a lagging replica does not have the newest refunds."""

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
    """The provider refuses; `kept`: whether Stripe stores that under the idempotency key."""

    def __init__(self, answer: Answer, *, kept: bool = True) -> None:
        super().__init__(f"{answer.status}: {answer.payload}")
        self.answer = answer
        self.kept = kept


class Desk(Protocol):
    """Answers calls as a provider. Nothing here awaits, so check and commit are one step."""

    provider: str

    def admit(self, call: ApiCall) -> Answer | None:
        """An answer at once (unknown key, replay, conflict), or None: the call may be processed."""

    def process(self, call: ApiCall, view: View) -> Answer:
        """Do what an admitted call asks; a refusal is an answer too."""

    def remember(self, call: ApiCall, answer: Answer) -> None:
        """Store this answer under the call's key, if the provider stores answers."""

    def failure(self, status: int) -> Answer:
        """Return the provider's own kind of answer with this error status."""

    def bend(self, payload: JsonObject, variant: str) -> JsonObject:
        """Return a payload that is wrong: another amount, currency or payment, or no id."""
