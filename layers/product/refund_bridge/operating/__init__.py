"""A person's decisions, by ``refundctl``."""
