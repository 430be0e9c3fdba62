"""A provider's API key: how the adapters ask for it, and how it stays out of every sentence."""

from typing import Final, Protocol

TEXT_MAX: Final = 500


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

        ``None`` if it is still the same key; then asking again is of no use.

        Raises:
            KeyUnavailableError: it could not be read.
        """


def other_key(key: ApiKey, refused: str) -> str | None:
    """The key to try once more after ``refused`` was refused, if there is another."""
    try:
        found = key.refreshed()
    except KeyUnavailableError:
        return None
    return None if found == refused else found


def sentence(text: str, *, secret: str) -> str:
    """A provider's own words, fit for an answer or a log: one short line without the key."""
    shown = text.replace(secret, "***") if secret else text
    return " ".join("".join(c if c.isprintable() else " " for c in shown).split())[:TEXT_MAX]
