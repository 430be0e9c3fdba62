"""The tour in the README succeeds, and every stop has its result."""

from local.stack import RunningStack
from local.tour import EVENTS, tour_of


def test_every_way_in_leads_to_every_way_out(hasty_stack: RunningStack) -> None:
    # When a visitor walks through the whole system
    with tour_of(hasty_stack) as tour:
        tour.walk()
        heard = {event.name for event in tour.listener.heard()}
    # Then each stop came to what it must, and each kind of event was heard
    assert len(tour.seen) == 21
    assert heard >= EVENTS
