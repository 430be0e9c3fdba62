"""A provider's API key: how adapters read it, and how it is removed from messages."""

from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator
from typing import Final, Protocol
from urllib.parse import quote

TEXT_MAX: Final = 500
# How much of an answer is searched for the key; the message is the beginning of it.
_LOOKED_THROUGH_MAX: Final = 4 * TEXT_MAX
# So many consecutive characters of a key count as a part of it.
_PART: Final = 8


class KeyUnavailableError(Exception):
    """The key cannot be read now, so nothing can be sent.

    Attributes:
        reason: for logs; never the key.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class ApiKey(Protocol):
    """A secret that may be rotated while the function lives."""

    def current(self) -> str:
        """The key, from a short cache.

        Raises:
            KeyUnavailableError: it could not be read.
        """

    def refreshed(self) -> str | None:
        """The key read anew, past the cache, because the provider refused ``current()``.

        ``None`` if it is still the same key; then a retry is useless.

        Raises:
            KeyUnavailableError: it could not be read.
        """


def other_key(key: ApiKey, refused: str) -> str | None:
    """The key for one more try after ``refused`` was refused, if there is another key."""
    try:
        found = key.refreshed()
    except KeyUnavailableError:
        return None
    return None if found == refused else found


def sentence(text: str, *, secret: str) -> str:
    """A provider's message, made fit for an answer or a log: one short line without the key.

    Parts of the key are removed too, also in the forms that it has in URLs and Authorization
    headers.
    """
    shown = _masked(text[:_LOOKED_THROUGH_MAX], secret)
    return " ".join("".join(c if c.isprintable() else " " for c in shown).split())[:TEXT_MAX]


def _masked(text: str, secret: str) -> str:
    if not secret:
        return text
    size = min(_PART, len(secret))
    parts = {
        form[start : start + size]
        for form in map(str.lower, _forms(secret))
        for start in range(len(form) - size + 1)
    }
    lower = text.lower()
    if len(lower) != len(text):
        lower = text  # a few letters have another length in lower case; keys do not have them
    hidden = {
        place
        for start in range(len(text) - size + 1)
        if lower[start : start + size] in parts
        for place in range(start, start + size)
    }
    return "".join(
        letter if place not in hidden else "***" if place - 1 not in hidden else ""
        for place, letter in enumerate(text)
    )


def _forms(secret: str) -> Iterator[str]:
    """The forms of a key: as it is, percent-encoded, in hex, and in base64 at any offset."""
    yield secret
    yield quote(secret, safe="")
    data = secret.encode()
    yield data.hex()
    for before in range(3):
        for encode in (b64encode, urlsafe_b64encode):
            # The first and last characters depend on the text around the key.
            text = encode(bytes(before) + data).decode().rstrip("=")
            yield text[-(-before * 8 // 6) : -1]
