"""Webhooks out: what happens to refunds, told to the merchant's own HTTPS addresses."""
