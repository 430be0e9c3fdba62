"""Refunds asked for by events, and the events that tell of refunds."""
