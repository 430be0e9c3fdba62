"""HitPay."""
