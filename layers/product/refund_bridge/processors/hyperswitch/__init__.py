"""Hyperswitch."""
