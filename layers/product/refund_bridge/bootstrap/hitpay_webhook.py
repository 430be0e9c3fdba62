"""The world of ``hitpay_webhook``."""

from dataclasses import dataclass
from functools import cache

from aws_lambda_powertools import Logger

from refund_bridge.adapters.aws_runtime.clients import ssm_client
from refund_bridge.adapters.ssm.webhook_salts import WebhookSalts
from refund_bridge.bootstrap.money_path import Duties, look_once_of, money_path
from refund_bridge.bootstrap.settling import SettlingSettings, times_of
from refund_bridge.observing.observe_payment import ObservePayment
from refund_bridge.ports.runtime import Clock, Telemetry
from refund_bridge.refunding.recent_looks import LookOnce


class HitPayWebhookSettings(SettlingSettings):
    """What ``hitpay_webhook`` reads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HitPayWebhookWorld:
    """What ``hitpay_webhook`` works with."""

    observe: ObservePayment
    look_once: LookOnce
    salts: WebhookSalts
    clock: Clock
    telemetry: Telemetry


@cache
def hitpay_webhook(logger: Logger) -> HitPayWebhookWorld:
    """The world of ``hitpay_webhook``, from its environment.

    Raises:
        ConfigurationError: the environment is wrong, or mixes live and test mode.
    """
    settings = HitPayWebhookSettings.from_environment()
    path = money_path(settings, logger, Duties(times=times_of(settings), needs_processor=False))
    salts = WebhookSalts(
        ssm_client(),
        settings.secrets_prefix,
        max_age_s=settings.secrets_cache_seconds,
        clock=path.clock,
        telemetry=path.telemetry,
    )
    return HitPayWebhookWorld(
        observe=path.use_cases.observe,
        look_once=look_once_of(settings, path),
        salts=salts,
        clock=path.clock,
        telemetry=path.telemetry,
    )
