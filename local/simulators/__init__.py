"""The processors and Stripe as real, stateful HTTP servers with switchable faults, for demos and
tests."""
