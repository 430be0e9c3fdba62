"""Answers that cost no call to a provider, or few."""
