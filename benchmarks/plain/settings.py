"""The providers' addresses, from the environment."""

import os

HITPAY_URL = os.environ["HITPAY_URL"]
STRIPE_URL = os.environ["STRIPE_URL"]
HITPAY_KEY = os.environ["HITPAY_API_KEY"]
STRIPE_KEY = os.environ["STRIPE_SECRET_KEY"]
