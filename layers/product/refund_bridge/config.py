"""Typed settings from the environment variables that the template declares; no secrets.

The further settings of each function are in its module in ``bootstrap``.
"""

import os
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError


class ConfigurationError(Exception):
    """The service is configured wrongly and refuses to work; the message says how."""


class Mode(StrEnum):
    """Whether money is real."""

    TEST = "test"
    LIVE = "live"


Seconds = Annotated[int, Field(ge=1, le=86_400)]


class Settings(BaseModel):
    """What every function reads.

    Attributes:
        tracing: whether calls to providers are added to X-Ray's traces, ``on`` or ``off``.
    """

    # Built only when first used, because most of these classes only serve as base classes.
    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)

    stage: Annotated[str, Field(min_length=1, max_length=32)]
    mode: Mode
    secrets_prefix: Annotated[str, Field(pattern=r"^/[\w./-]+$")]
    secrets_cache_seconds: Seconds
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
        """Read the settings from the environment.

        Raises:
            ConfigurationError: a variable is missing or out of range; the message names it.
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
