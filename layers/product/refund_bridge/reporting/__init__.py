"""Tells Stripe of a refund, once, and finds out what others told Stripe."""
