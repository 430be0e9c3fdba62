"""Refuse to start on a mix of real and play money."""

from typing import Final
from urllib.parse import urlsplit

from refunds.adapters.api_key import ApiKey
from refunds.config import ConfigurationError, Mode

_LIVE_KEYS: Final = ("sk_live_", "rk_live_")
_TEST_KEYS: Final = ("sk_test_", "rk_test_")
_LIVE_HITPAY: Final = "api.hit-pay.com"


def require_mode(stripe_key: str, hitpay_url: str, mode: Mode) -> None:
    """Check that Stripe's key and HitPay's address are of ``mode``.

    HitPay's keys do not show their mode, but each is valid at one of its two addresses only.

    Raises:
        ConfigurationError: they are not. The sentence does not hold the key.
    """
    require_stripe_key(stripe_key, mode)
    require_hitpay_url(hitpay_url, mode)


def require_stripe_key(stripe_key: str, mode: Mode) -> None:
    """Check that Stripe's key is of ``mode``.

    Raises:
        ConfigurationError: it is not. The sentence does not hold the key.
    """
    if not stripe_key.startswith(_LIVE_KEYS if mode is Mode.LIVE else _TEST_KEYS):
        raise ConfigurationError(_about_stripe(stripe_key, mode))


def require_hitpay_url(hitpay_url: str, mode: Mode) -> None:
    """Check that HitPay's address is of ``mode``.

    Raises:
        ConfigurationError: it is not.
    """
    live = mode is Mode.LIVE
    address = urlsplit(hitpay_url)
    # A dot at the end of a host name is the same host.
    is_live_address = (address.hostname or "").rstrip(".") == _LIVE_HITPAY
    if live and not (is_live_address and address.scheme == "https"):
        raise ConfigurationError(
            f"MODE is live, but HITPAY_URL is not HitPay's live address https://{_LIVE_HITPAY}."
        )
    if not live and is_live_address:
        raise ConfigurationError(
            f"MODE is {mode}, but HITPAY_URL is HitPay's live address, where money is real."
        )


class ModeCheckedKey:
    """Stripe's key, checked each time that it is handed out: a rotation may bring a wrong one."""

    def __init__(self, key: ApiKey, mode: Mode) -> None:
        """``key`` is where the secret comes from."""
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
