"""Put secrets where the functions read them: SSM SecureStrings under the stage's prefix.

CloudFormation cannot create SecureStrings, so this happens before the stack. Values come in as
arguments of functions, never of programs, and nothing here prints one.
"""

import hashlib
import json
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

STRIPE_SECRET_KEY = "stripe-secret-key"  # noqa: S105 - the name of a parameter
HITPAY_API_KEY = "hitpay-api-key"
API_KEYS = "api-keys"
PROVIDER_KEYS = (STRIPE_SECRET_KEY, HITPAY_API_KEY)
ALL_SCOPES = ("refunds:read", "refunds:write")


@dataclass(frozen=True)
class ApiKey:
    """A freshly made key of a caller. The only moment at which its text exists."""

    name: str
    text: str
    scopes: tuple[str, ...] = ALL_SCOPES

    @property
    def stored(self) -> str:
        """What is kept of it: enough to recognise it, not enough to use it."""
        digest = hashlib.sha256(self.text.encode()).hexdigest()
        return json.dumps({"name": self.name, "scopes": list(self.scopes), "sha256": digest})


def new_api_key(name: str, scopes: tuple[str, ...] = ALL_SCOPES) -> ApiKey:
    """Make a key that nobody can guess."""
    return ApiKey(name, f"rbk_{secrets.token_urlsafe(32)}", scopes)


def put_provider_keys(ssm: "SSMClient", prefix: str, *, stripe: str, hitpay: str) -> None:
    """Write the providers' keys, replacing what was there."""
    for name, value in ((STRIPE_SECRET_KEY, stripe), (HITPAY_API_KEY, hitpay)):
        put_secret(ssm, f"{prefix}/{name}", value)


def put_api_key(ssm: "SSMClient", prefix: str, key: ApiKey) -> None:
    """Write the digest of a caller's key under its name."""
    put_secret(ssm, f"{prefix}/{API_KEYS}/{key.name}", key.stored)


def put_secret(ssm: "SSMClient", name: str, value: str) -> None:
    """Write one SecureString."""
    ssm.put_parameter(Name=name, Value=value, Type="SecureString", Overwrite=True)


def api_key_names(ssm: "SSMClient", prefix: str) -> list[str]:
    """Name the callers' keys of a stage."""
    pages = ssm.get_paginator("get_parameters_by_path").paginate(
        Path=f"{prefix}/{API_KEYS}", Recursive=True, WithDecryption=False
    )
    return [parameter["Name"] for page in pages for parameter in page["Parameters"]]


def missing_provider_keys(ssm: "SSMClient", prefix: str) -> list[str]:
    """Name the provider keys that a stage does not have yet, without reading any."""
    names = [f"{prefix}/{name}" for name in PROVIDER_KEYS]
    answer = ssm.get_parameters(Names=names, WithDecryption=False)
    return sorted(answer["InvalidParameters"])
