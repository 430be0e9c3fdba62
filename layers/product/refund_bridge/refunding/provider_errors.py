"""Turns a provider's failure to answer a read into the contract's errors: nothing was executed."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from refund_bridge.domain.errors import (
    PaymentNotFoundError,
    ProcessorUnavailableError,
    StripeUnavailableError,
)
from refund_bridge.ports.processor import ProviderUnavailableError
from refund_bridge.ports.stripe import StripeObjectNotFoundError

# How long a caller is told to wait if the provider is down and did not say how long.
UNAVAILABLE_RETRY_AFTER_S: Final = 5


@contextmanager
def asking_stripe() -> Iterator[None]:
    """Turn a failure to read at Stripe into the contract's error: nothing was executed."""
    try:
        yield
    except StripeObjectNotFoundError as error:
        raise PaymentNotFoundError(str(error)) from error
    except ProviderUnavailableError as error:
        raise StripeUnavailableError(
            "Stripe could not be asked; nothing was executed. Repeat with the same key.",
            retry_after_s=error.retry_after_s or UNAVAILABLE_RETRY_AFTER_S,
        ) from error


@contextmanager
def asking_processor() -> Iterator[None]:
    """Turn a failure to read at the processor into the contract's error: nothing was executed."""
    try:
        yield
    except ProviderUnavailableError as error:
        raise ProcessorUnavailableError(
            "The processor could not be asked; nothing was executed. Repeat with the same key.",
            retry_after_s=error.retry_after_s or UNAVAILABLE_RETRY_AFTER_S,
        ) from error
