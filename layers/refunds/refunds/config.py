"""Typed settings, per function, from the environment that the template declares; no secrets."""

import os
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from refunds.link import VerifyCharge
from refunds.settle import AfterHold


class ConfigurationError(Exception):
    """The service is set up in a way that it refuses to work with; the sentence says which."""


class Mode(StrEnum):
    """Whether money is real."""

    TEST = "test"
    LIVE = "live"


_Seconds = Annotated[int, Field(ge=1, le=86_400)]


class _Settings(BaseModel):
    """What every function reads.

    Attributes:
        tracing: whether calls to providers are drawn into X-Ray's traces, ``on`` or ``off``.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    stage: Annotated[str, Field(min_length=1, max_length=32)]
    mode: Mode
    secrets_prefix: Annotated[str, Field(pattern=r"^/[\w./-]+$")]
    secrets_cache_seconds: _Seconds
    ledger_table: str
    stripe_url: Annotated[str, Field(pattern=r"^https?://")]
    report_queue_url: str
    tracing: bool

    @property
    def livemode(self) -> bool:
        """Stripe's word for the mode."""
        return self.mode is Mode.LIVE

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Self:
        """The settings that the environment holds.

        Raises:
            ConfigurationError: a variable is missing or out of range; the sentence names it.
        """
        source = os.environ if environment is None else environment
        given = {name: source[name.upper()] for name in cls.model_fields if name.upper() in source}
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            problems = "; ".join(
                f"{str(problem['loc'][0]).upper()}: {problem['msg']}" for problem in error.errors()
            )
            raise ConfigurationError(f"The function's environment is wrong: {problems}") from None


class MoneySettings(_Settings):
    """What the functions that ask HitPay read."""

    hitpay_url: Annotated[str, Field(pattern=r"^https?://")]
    hitpay_zero_decimal_form: Literal["integer", "decimal"]
    verify_charge: VerifyCharge
    lease_seconds: _Seconds


class SettlingSettings(MoneySettings):
    """What the functions that settle refunds read.

    Attributes:
        settle_seconds: the settle interval; every backoff is a multiple of it.
        hold_seconds: how long after it was sent an order may still arrive.
    """

    settle_seconds: _Seconds
    hold_seconds: Annotated[int, Field(ge=1, le=30 * 86_400)]
    after_hold: AfterHold
    report_max_receives: Annotated[int, Field(ge=1, le=1000)]


class RefundApiSettings(SettlingSettings):
    """What ``refund_api`` reads.

    Attributes:
        api_auth: who finds out who calls: this function by a bearer key, or the gateway by a
            signature. The second word is SAM's own.
    """

    api_auth: Literal["bearer", "AWS_IAM"]


class SettleRefundsSettings(SettlingSettings):
    """What ``settle_refunds`` reads.

    Attributes:
        credit_notes: whether refunded invoices get their credit notes, ``on`` or ``off``.
    """

    settle_concurrency: Annotated[int, Field(ge=1, le=32)]
    credit_notes: bool
    event_bus: Annotated[str, Field(min_length=1)]


class HitPayWebhookSettings(SettlingSettings):
    """What ``hitpay_webhook`` reads."""


class SweepChargesSettings(SettlingSettings):
    """What ``sweep_charges`` reads."""

    settle_concurrency: Annotated[int, Field(ge=1, le=32)]


class RefundRequestedSettings(MoneySettings):
    """What ``refund_requested`` reads.

    Attributes:
        request_max_receives: the queue's own; after so many receives a request is set aside.
    """

    event_bus: Annotated[str, Field(min_length=1)]
    request_queue_url: str
    request_dead_letter_queue_url: str
    request_max_receives: Annotated[int, Field(ge=1, le=1000)]
    request_backoff_seconds: _Seconds


class PublishEventsSettings(_Settings):
    """What ``publish_events`` reads."""

    event_bus: Annotated[str, Field(min_length=1)]


class ReportRefundSettings(_Settings):
    """What ``report_refund`` reads.

    Attributes:
        credit_notes: as in ``SettleRefundsSettings``.
        settle_seconds: the settle interval, by which a credit note that was not issued is put off.
    """

    report_max_receives: Annotated[int, Field(ge=1, le=1000)]
    report_lease_seconds: _Seconds
    report_backoff_seconds: _Seconds
    report_concurrency: Annotated[int, Field(ge=1, le=10)]
    stripe_reports_per_second: Annotated[int, Field(ge=1, le=100)]
    credit_notes: bool
    settle_seconds: _Seconds
