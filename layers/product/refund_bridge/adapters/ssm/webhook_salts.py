"""Reads the salts of HitPay's webhooks from one SSM parameter; during a rotation it has several."""

from typing import TYPE_CHECKING, Final

from refund_bridge.adapters.http.api_key import KeyUnavailableError
from refund_bridge.adapters.ssm.parameters import (
    RETRY_AFTER_S,
    UNREADABLE,
    Kept,
    parameters_by_name,
)
from refund_bridge.domain.errors import KeysUnavailableError
from refund_bridge.ports.runtime import Clock, Telemetry

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

PARAMETER: Final = "hitpay-webhook-salts"
SALTS_MAX: Final = 10
# Somebody who has seen one webhook could try all shorter salts until the signature fits.
SALT_CHARACTERS_MIN: Final = 16


class WebhookSalts:
    """The salts under ``<prefix>/hitpay-webhook-salts``, separated by commas or white space.

    A removed salt stops working when the cache is ``max_age_s`` old. If the parameter does not
    exist, no webhook is set up and none is genuine; that is cached too, because anybody may call.
    A salt of fewer than ``SALT_CHARACTERS_MIN`` characters is ignored.
    """

    def __init__(
        self,
        client: "SSMClient",
        prefix: str,
        *,
        max_age_s: int,
        clock: Clock,
        telemetry: Telemetry,
    ) -> None:
        self._client = client
        self._telemetry = telemetry
        self._name = f"{prefix.rstrip('/')}/{PARAMETER}"
        self._salts = Kept(self._fetch, max_age_s=max_age_s, clock=clock)

    def current(self) -> tuple[str, ...]:
        """The salts, at most ``SALTS_MAX``.

        Raises:
            KeysUnavailableError: they cannot be read now.
        """
        try:
            return self._salts.current()
        except KeyUnavailableError as error:
            self._telemetry.note("webhook_salts_unreadable", reason=error.reason)
            raise KeysUnavailableError(UNREADABLE, retry_after_s=RETRY_AFTER_S) from error

    def _fetch(self) -> tuple[str, ...]:
        text = parameters_by_name(self._client, [self._name]).get(self._name, "")
        salts = text.replace(",", " ").split()
        return tuple(salt for salt in salts if len(salt) >= SALT_CHARACTERS_MIN)[:SALTS_MAX]

    def __repr__(self) -> str:
        return f"WebhookSalts({self._name})"
