"""Sends requests to a processor: a read at most twice, an instruction to move money once.

If the processor refuses the credential, it has certainly executed nothing. Then the key is read
anew, because it may have been rotated since it was cached. If the key is a new one, a read is
repeated here; whether to send an instruction again is decided by the caller.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol
from urllib.parse import quote

from refund_bridge.adapters.http.api_key import ApiKey, KeyUnavailableError, other_key
from refund_bridge.adapters.http.client import DeadlineHttp
from refund_bridge.adapters.http.exact_json import json_object
from refund_bridge.adapters.http.messages import (
    ExchangeError,
    HttpAnswer,
    HttpRequest,
    NotSentError,
    UnclearError,
    retry_after_of,
)
from refund_bridge.domain.instruction import Aborted, CredentialRefused, Unknown
from refund_bridge.ports.processor import (
    CredentialRefusedError,
    ProviderUnavailableError,
    UnreadableAnswerError,
)
from refund_bridge.ports.runtime import Deadline

# The statuses by which a processor refuses a credential, unless its adapter says otherwise.
UNAUTHENTICATED: Final = frozenset({401})
# The longest that one instruction to move money may take, with everything that is sent or read for
# it. Leases are computed from this.
INSTRUCTION_MS_MAX: Final = 20_000
JSON: Final = "application/json"
FORM: Final = "application/x-www-form-urlencoded"
NO_HEADERS: Final[Mapping[str, str]] = {}


class Words(Protocol):
    """Reads a processor's own message from an answer."""

    def __call__(self, answer: HttpAnswer, *, secret: str) -> str | None:
        """The message without ``secret``; ``None`` if the answer is not of the processor's form.

        In that case the answer may come from a proxy in front of the processor.
        """


@dataclass(frozen=True, slots=True)
class Sent:
    """The answer to an instruction, and the API key that it was sent with."""

    answer: HttpAnswer
    key: str = field(repr=False)


class ProviderHttp:
    """Sends requests to one processor.

    Args:
        title: the processor in sentences.
        base_url: with or without a path; calls are appended to it.
        key: read anew once when the processor refuses it.
        http: the caller whose limits and deadline bound every exchange.
        headers: makes the headers of every call from the key.
        words: reads the processor's own refusals.
        refused_by: the statuses by which the processor may refuse a credential.
    """

    def __init__(  # noqa: PLR0913 -- what differs from one processor to the next
        self,
        *,
        title: str,
        base_url: str,
        key: ApiKey,
        http: DeadlineHttp,
        headers: Callable[[str], Mapping[str, str]],
        words: Words,
        refused_by: frozenset[int] = UNAUTHENTICATED,
    ) -> None:
        self._title = title
        self._base_url = base_url.rstrip("/")
        self._key = key
        self._http = http
        self._headers = headers
        self._words = words
        self._refused_by = refused_by

    @property
    def secret(self) -> str:
        """The key, so that it can be removed from answers' texts; empty if there is none."""
        try:
            return self._key.current()
        except KeyUnavailableError:
            return ""

    def warm(self, deadline: Deadline) -> None:
        """Open a connection, so that the next call need not wait for one; never raises."""
        self._http.warm(self._base_url, deadline)

    def send(
        self,
        path: str,
        kind: str,
        body: bytes,
        deadline: Deadline,
        *,
        headers: Mapping[str, str] = NO_HEADERS,
    ) -> Sent | Aborted | Unknown:
        """POST an instruction to move money, once.

        ``kind`` is the body's media type; ``headers`` are added to those of every call. If the
        credential is refused and the one read anew is different, ``CredentialRefused`` with
        ``replaced`` is returned; otherwise the answer.
        """
        try:
            key = self._key.current()
            every = {**self._headers(key), **headers, "Content-Type": kind}
            request = HttpRequest("POST", f"{self._base_url}{path}", every, body)
            answer = self._http.send(request, deadline)
        except (KeyUnavailableError, NotSentError) as error:
            return Aborted(error.reason)
        except UnclearError as error:
            return Unknown(error.reason)
        if answer.status in self._refused_by and other_key(self._key, key):
            return CredentialRefused(self._refused(answer), replaced=True)
        return Sent(answer, key)

    def shown(self, folder: str, name: str, key: str, deadline: Deadline) -> dict[str, Any] | None:
        """The object ``name``, read once with exactly this ``key``; ``None`` if it is not shown.

        This tells callers whether the processor refused the key.
        """
        try:
            request = self._get_request(folder + quote(name, safe=""), key)
            answer = self._http.send(request, deadline)
        except ExchangeError:
            return None
        return json_object(answer.body) if answer.is_success else None

    def get(
        self, folder: str, name: str, deadline: Deadline, *, query: str = ""
    ) -> dict[str, Any] | None:
        """The members of the object ``name``; ``None`` if the processor says that it has none.

        Raises:
            UnreadableAnswerError, CredentialRefusedError, ProviderUnavailableError: as
                ``object_at``.
        """
        if not name.strip("."):
            return None  # in a path, "", "." and ".." would not name an object
        return self.object_at(folder + quote(name, safe="") + query, deadline)

    def object_at(self, path: str, deadline: Deadline) -> dict[str, Any] | None:
        """The members of the object at ``path``; ``None`` after a 404 with the processor's message.

        Raises:
            UnreadableAnswerError: the answer is no object, or the processor refuses to show this
                one; other objects may still be shown.
            CredentialRefusedError: neither the credential nor the one read anew is accepted.
            ProviderUnavailableError: no usable answer after at most two requests.
        """
        answer, key = self._ask_twice(path, deadline)
        if answer.is_success:
            members = json_object(answer.body)
            if members is None:
                raise UnreadableAnswerError(
                    f"{self._title} answered {answer.status} without an object"
                )
            return members
        message = self._words(answer, secret=key)
        if answer.status == 404 and message:
            return None
        if answer.status in self._refused_by:
            raise CredentialRefusedError(self._refused(answer))
        refused = 400 <= answer.status < 500 and answer.status not in (408, 429)
        kind = UnreadableAnswerError if refused else ProviderUnavailableError
        raise kind(
            f"{self._title} answered {answer.status}" + (f": {message}" if message else ""),
            retry_after_s=retry_after_of(answer.headers),
        )

    def _ask_twice(self, path: str, deadline: Deadline) -> tuple[HttpAnswer, str]:
        """A whole answer to a GET, and the key that it was sent with; at most two requests.

        The second request, on a new connection, follows a lost answer, a 5xx, or a rotated key.
        """
        try:
            key = self._key.current()
            first: HttpAnswer | None = None
            try:
                first = self._http.send(self._get_request(path, key), deadline)
            except ExchangeError:
                if not deadline.remaining_ms():
                    raise
            if first is not None and first.status in self._refused_by:
                rotated = other_key(self._key, key)
                if rotated is None:
                    return first, key
                key = rotated
            elif first is not None and first.status < 500:
                return first, key
            return self._http.send(self._get_request(path, key), deadline, fresh=True), key
        except (KeyUnavailableError, ExchangeError) as error:
            raise ProviderUnavailableError(f"{self._title}: {error.reason}") from error

    def _refused(self, answer: HttpAnswer) -> str:
        return f"{self._title} does not accept the credential ({answer.status})"

    def _get_request(self, path: str, key: str) -> HttpRequest:
        return HttpRequest("GET", f"{self._base_url}{path}", self._headers(key))


def not_executed(answer: HttpAnswer, title: str) -> Aborted | None:
    """The outcome of an answer that certainly means that nothing was executed; else ``None``.

    Such answers are a refused credential, a missing method and an exceeded rate.
    """
    match answer.status:
        case 401:
            return CredentialRefused(f"{title} does not accept the credential (401)")
        case 405:
            return Aborted(f"{title} has no such call (405)")
        case 429:
            return Aborted(f"{title} limits the rate (429)", retry_after_of(answer.headers))
        case _:
            return None


def require_same(title: str, what: str, found: str, asked: str) -> None:
    """Refuse an answer about another object; upper and lower case of ids may differ.

    Raises:
        UnreadableAnswerError: the answer is about another object.
    """
    if found.casefold() != asked.casefold():
        raise UnreadableAnswerError(f"{title} answered with another {what} than was asked for")
