"""A provider's failure to answer a read, in the contract's words: nothing was executed."""

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

# What a caller is told to wait when a provider is down and did not say how long.
UNAVAILABLE_RETRY_AFTER_S: Final = 5


@contextmanager
def asking_stripe() -> Iterator[None]:
    """Say a failure to read at Stripe in the contract's words: nothing was executed."""
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
    """Say a failure to read at the processor in the contract's words: nothing was executed."""
    try:
        yield
    except ProviderUnavailableError as error:
        raise ProcessorUnavailableError(
            "The processor could not be asked; nothing was executed. Repeat with the same key.",
            retry_after_s=error.retry_after_s or UNAVAILABLE_RETRY_AFTER_S,
        ) from error
