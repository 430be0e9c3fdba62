"""Stripe: payments, reports and credit notes."""
