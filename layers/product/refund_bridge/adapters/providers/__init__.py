"""Wrappers for every call to a provider: circuit breaker, pace, measurement."""
