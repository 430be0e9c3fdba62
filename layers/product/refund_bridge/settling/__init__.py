"""Settling: every minute, works on all refunds that are due."""
