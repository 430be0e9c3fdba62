"""Events in that ask for refunds, and events out that tell of refunds."""
