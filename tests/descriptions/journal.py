"""What simulators were asked for, by whoever is deployed, against the descriptions of the APIs."""

from local.simulators.client import SimulatorControl
from tests.descriptions.hitpay_api import HitPayApi
from tests.descriptions.stripe_api import StripeApi


def undescribed(control: SimulatorControl) -> list[str]:
    """Each parameter among the newest calls that HitPay or Stripe is not described to take."""
    return [
        wrong
        for api in (HitPayApi(), StripeApi())
        for call in control.calls(api.provider)
        for wrong in api.parameters(call.operation, call.parameters, in_form=True)
    ]
