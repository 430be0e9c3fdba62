"""Refuses a Stripe key of another mode than the stage's.

For the processors' addresses ``processors/shared/settings.py`` does the same.
"""

from typing import Final

from refund_bridge.adapters.http.api_key import ApiKey
from refund_bridge.config import ConfigurationError, Mode

_LIVE_KEYS: Final = ("sk_live_", "rk_live_")
_TEST_KEYS: Final = ("sk_test_", "rk_test_")


def require_stripe_key(stripe_key: str, mode: Mode) -> None:
    """Check that Stripe's key is of ``mode``.

    Raises:
        ConfigurationError: it is not. The message does not contain the key.
    """
    if not stripe_key.startswith(_LIVE_KEYS if mode is Mode.LIVE else _TEST_KEYS):
        raise ConfigurationError(_about_stripe(stripe_key, mode))


class ModeCheckedKey:
    """Stripe's key, checked at each use: a rotation may bring a key of the wrong mode."""

    def __init__(self, key: ApiKey, mode: Mode) -> None:
        """``key`` gives the key that is checked."""
        self._key = key
        self._mode = mode

    def current(self) -> str:
        """The key; raises ``ConfigurationError`` if it is of the other mode."""
        return self._checked(self._key.current())

    def refreshed(self) -> str | None:
        """The key read anew; raises ``ConfigurationError`` if it is of the other mode."""
        found = self._key.refreshed()
        return None if found is None else self._checked(found)

    def _checked(self, key: str) -> str:
        require_stripe_key(key, self._mode)
        return key


def _about_stripe(stripe_key: str, mode: Mode) -> str:
    kind = "neither a live nor a test secret key"
    if stripe_key.startswith(_LIVE_KEYS):
        kind = "a live key"
    elif stripe_key.startswith(_TEST_KEYS):
        kind = "a test key"
    wanted = _LIVE_KEYS if mode is Mode.LIVE else _TEST_KEYS
    return (
        f"MODE is {mode}, but the parameter stripe-secret-key holds {kind};"
        f" it must begin with {' or '.join(wanted)}."
    )
