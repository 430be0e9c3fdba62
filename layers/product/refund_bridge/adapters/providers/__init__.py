"""What stands around every call of a provider: breaker, pace, measures."""
