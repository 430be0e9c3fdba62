"""Webhooks out: sends events about refunds to the merchant's own HTTPS addresses."""
