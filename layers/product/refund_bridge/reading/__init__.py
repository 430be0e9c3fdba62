"""Reads for callers: lists, one refund, one payment; with no or few provider calls."""
