"""The Convenient Checkout Gateway (CCG)."""
