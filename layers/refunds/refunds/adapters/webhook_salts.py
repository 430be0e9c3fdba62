"""The salts of HitPay's webhooks, in one SSM parameter: several during a rotation."""

from typing import TYPE_CHECKING, Final

from aws_lambda_powertools.utilities.parameters import SSMProvider
from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError
from botocore.exceptions import BotoCoreError, ClientError

from refunds.adapters.api_key import KeyUnavailableError
from refunds.ports import Clock

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

PARAMETER: Final = "hitpay-webhook-salts"
SALTS_MAX: Final = 10


class WebhookSalts:
    """The salts under ``<prefix>/hitpay-webhook-salts``, separated by commas or white space.

    A salt that is taken out stops working when the cache is ``max_age_s`` old. Where the parameter
    is not there no webhook is set up, and none is genuine.
    """

    def __init__(self, client: "SSMClient", prefix: str, *, max_age_s: int, clock: Clock) -> None:
        self._provider = SSMProvider(boto3_client=client)
        self._name = f"{prefix.rstrip('/')}/{PARAMETER}"
        self._max_age_s = max_age_s
        self._clock = clock
        self._missing_until_ms = 0

    def current(self) -> tuple[str, ...]:
        """The salts, at most ``SALTS_MAX``.

        Raises:
            KeyUnavailableError: they cannot be read now.
        """
        now_ms = self._clock.monotonic_ms()
        if now_ms < self._missing_until_ms:
            return ()
        try:
            found = self._provider.get_parameters_by_name(
                {self._name: {}}, decrypt=True, max_age=self._max_age_s, raise_on_error=False
            )
        except (GetParameterError, BotoCoreError, ClientError) as error:
            raise KeyUnavailableError(f"{self._name}: {type(error).__name__}") from error
        if self._name not in found:
            # Powertools remembers only what is there, and anybody may call this.
            self._missing_until_ms = now_ms + self._max_age_s * 1000
        return tuple(str(found.get(self._name, "")).replace(",", " ").split())[:SALTS_MAX]

    def __repr__(self) -> str:
        return f"WebhookSalts({self._name})"
