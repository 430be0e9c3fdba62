"""Defects planted in refunds of payments that Stripe took: reports, and refunds taken back."""

from collections.abc import Iterator
from unittest.mock import patch

from refund_bridge.domain.refund import Refund
from tests.simulation.planting import defect


@defect(caught_at=6)
def stripe_is_told_of_its_own() -> Iterator[None]:
    """A refund that Stripe itself made is reported to Stripe."""
    with patch.object(Refund, "is_stripes_own", property(lambda _: False)):
        yield


@defect(caught_at=202)
def what_stripe_takes_back_stays_held() -> Iterator[None]:
    """The amount of a success that Stripe took back stays reserved for ever."""
    with patch.object(Refund, "is_given_back", property(lambda _: False)):
        yield
