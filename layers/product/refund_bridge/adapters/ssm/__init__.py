"""Secrets and keys in the Parameter Store."""
