"""Defects planted where Stripe took the payment: what is told, given back and recognised."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from unittest.mock import patch

from refunds import look_up
from refunds.evidence import Verdict, judge
from refunds.ports import Charge
from refunds.refund import Refund
from tests.simulation.planting import defect


@defect
def stripe_is_told_of_its_own() -> Iterator[None]:
    """A refund that Stripe made is taken for one that it has to be told of."""
    with patch.object(Refund, "is_stripes_own", property(lambda _: False)):
        yield


@defect
def what_stripe_takes_back_stays_held() -> Iterator[None]:
    """A success that Stripe took back counts against what may be refunded, for ever."""
    with patch.object(Refund, "is_given_back", property(lambda _: False)):
        yield


@defect
def known_by_its_amount_at_stripe() -> Iterator[None]:
    """What became of an order is told by its amount, though each refund shows whose it is."""

    def by_amount(refund: Refund, charge: Charge, claimed: Mapping[str, str]) -> Verdict:
        bare = tuple(replace(one, order_id=None) for one in charge.movements or ())
        listed = None if charge.movements is None else bare
        return judge(refund, replace(charge, movements=listed), claimed)

    with patch.object(look_up, "judge", by_amount):
        yield
