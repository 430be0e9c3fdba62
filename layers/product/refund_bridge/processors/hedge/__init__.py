"""Hedge Payments."""
