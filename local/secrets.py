"""Put the providers' keys where the functions read them: as SSM SecureStrings of the stage.

CloudFormation cannot create SecureStrings, so this happens before the stack. Values come in as
arguments of functions, never of programs, and nothing here prints one.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

STRIPE_SECRET_KEY = "stripe-secret-key"  # noqa: S105 - the name of a parameter
HITPAY_API_KEY = "hitpay-api-key"
HITPAY_WEBHOOK_SALTS = "hitpay-webhook-salts"
PROVIDER_KEYS = (STRIPE_SECRET_KEY, HITPAY_API_KEY)


def put_provider_keys(ssm: "SSMClient", prefix: str, *, stripe: str, hitpay: str) -> None:
    """Write the providers' keys, replacing what was there."""
    for name, value in ((STRIPE_SECRET_KEY, stripe), (HITPAY_API_KEY, hitpay)):
        put_secret(ssm, f"{prefix}/{name}", value)


def put_webhook_salts(ssm: "SSMClient", prefix: str, *salts: str) -> None:
    """Write the salts under which HitPay's webhooks may be signed; two during a rotation."""
    put_secret(ssm, f"{prefix}/{HITPAY_WEBHOOK_SALTS}", ",".join(salts))


def put_secret(ssm: "SSMClient", name: str, value: str) -> None:
    """Write one SecureString."""
    ssm.put_parameter(Name=name, Value=value, Type="SecureString", Overwrite=True)


def missing_provider_keys(ssm: "SSMClient", prefix: str) -> list[str]:
    """Name the provider keys that a stage does not have yet, without reading any."""
    names = [f"{prefix}/{name}" for name in PROVIDER_KEYS]
    answer = ssm.get_parameters(Names=names, WithDecryption=False)
    return sorted(answer["InvalidParameters"])
