"""HTTP requests and answers, and the two errors of an exchange without an answer."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

_RETRY_AFTER_MAX: Final = 24 * 3600


class ExchangeError(Exception):
    """No whole answer came.

    Attributes:
        reason: for logs; no secret, nothing of a body.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class NotSentError(ExchangeError):
    """It is certain that no byte of the request left this machine."""


class UnclearError(ExchangeError):
    """The request may have been received and executed."""


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request; the headers contain a key and are not shown."""

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """A whole answer. Names in ``headers`` may be in upper or lower case."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def is_success(self) -> bool:
        """Whether the status is a 2xx."""
        return 200 <= self.status <= 299


def retry_after_of(headers: Mapping[str, str]) -> int | None:
    """The seconds of ``Retry-After``; its other form, a date, and nonsense count as absent."""
    text = headers.get("Retry-After", "").strip()
    if not (text.isascii() and text.isdigit()) or len(text) > 9:
        return None
    return min(int(text), _RETRY_AFTER_MAX)
