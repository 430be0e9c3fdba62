"""Stripe's own payments."""
