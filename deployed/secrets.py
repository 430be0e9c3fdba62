"""A stage's secrets where the functions read them: SecureStrings under its prefix.

CloudFormation cannot create SecureStrings, so they are stored before the stack is created. Values
are passed as arguments of functions, never of programs, and nothing here prints one.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from deployed.api_keys import AWS_OWN_KEY

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

STRIPE_SECRET_KEY = "stripe-secret-key"  # noqa: S105 - the name of a parameter
HITPAY_API_KEY = "hitpay-api-key"
HYPERSWITCH_API_KEY = "hyperswitch-api-key"
HEDGE_API_KEY = "hedge-api-key"
CCG_ACCESS_TOKEN = "ccg-access-token"  # noqa: S105 - the name of a parameter
HITPAY_WEBHOOK_SALTS = "hitpay-webhook-salts"
# The processors' keys, by the template's parameter that sets up the processor.
PROCESSOR_KEYS = {
    "HitPayUrl": HITPAY_API_KEY,
    "HyperswitchUrl": HYPERSWITCH_API_KEY,
    "HedgeUrl": HEDGE_API_KEY,
    "CcgUrl": CCG_ACCESS_TOKEN,
}
PROVIDER_KEYS = (STRIPE_SECRET_KEY, *PROCESSOR_KEYS.values())
NAMES = (*PROVIDER_KEYS, HITPAY_WEBHOOK_SALTS)

# Characters that an HTTP header can carry; the functions accept no others.
_KEY = re.compile(r"[\x21-\x7e]+")
# `adapters/ssm/webhook_salts.py` reads no more than these.
SALTS_MAX = 10
SALT_CHARACTERS_MIN = 16


def needed(parameters: Mapping[str, str]) -> list[str]:
    """Which of `NAMES` a stage with these template parameters needs, in their order.

    A processor that is not set up needs no key.
    """
    idle = {key for url, key in PROCESSOR_KEYS.items() if not parameters.get(url)}
    if HITPAY_API_KEY in idle:
        idle.add(HITPAY_WEBHOOK_SALTS)
    return [name for name in NAMES if name not in idle]


class UnusableSecretError(ValueError):
    """The given text cannot be that secret; the sentence says why and does not repeat it."""


@dataclass(frozen=True)
class StoredSecret:
    """A stored secret as it can be shown, without its value.

    Attributes:
        kind: how it is stored; anything but a SecureString is a mistake.
        version: counted by the Systems Manager, from 1, with every change.
    """

    name: str
    kind: str
    version: int
    changed_at: datetime


def usable(name: str, text: str, mode: str) -> str:
    """The text that was typed or pasted as the secret `name`, in the form that is stored.

    Args:
        name: one of `NAMES`; of salts there may be several, separated by commas or white space.
        text: what was given.
        mode: `test` or `live`; only Stripe's keys show theirs.

    Raises:
        UnusableSecretError: it cannot be that secret.
    """
    value = text.strip()
    if name == HITPAY_WEBHOOK_SALTS:
        value = ",".join(salts_in(value))
    if not value:
        raise UnusableSecretError(f"{name} cannot be empty")
    if not _KEY.fullmatch(value):
        raise UnusableSecretError(f"{name} is one line of printable ASCII without spaces")
    wanted = tuple(f"{kind}_{mode}_" for kind in ("sk", "rk"))
    if name == STRIPE_SECRET_KEY and not value.startswith(wanted):
        raise UnusableSecretError(f"{name}: mode {mode} needs a key that starts {wanted[0]}")
    if name == HITPAY_WEBHOOK_SALTS and min(map(len, value.split(","))) < SALT_CHARACTERS_MIN:
        raise UnusableSecretError(f"{name}: one has at least {SALT_CHARACTERS_MIN} characters")
    if name == HITPAY_WEBHOOK_SALTS and value.count(",") >= SALTS_MAX:
        raise UnusableSecretError(f"{name}: at most {SALTS_MAX} are good at the same time")
    return value


def salts_in(text: str) -> list[str]:
    """The salts of a text, each once, in its order."""
    return list(dict.fromkeys(text.replace(",", " ").split()))


class SecretStore:
    """The secrets under one stage's prefix. What is written is durable on return.

    The functions notice a change when their cache expires; they also read a provider's key again
    when the provider refuses the old one. Every method may raise botocore's errors.
    """

    def __init__(self, ssm: "SSMClient", prefix: str, *, kms_key_id: str = "") -> None:
        """`kms_key_id` is the customer's key to encrypt with; AWS's own if it is empty."""
        self._ssm = ssm
        self._prefix = prefix
        self._kms_key_id = kms_key_id or AWS_OWN_KEY

    def put(self, name: str, value: str) -> int:
        """Write a secret, replacing the old one; returns its version."""
        answer = self._ssm.put_parameter(
            Name=f"{self._prefix}/{name}",
            Value=value,
            Type="SecureString",
            Overwrite=True,
            KeyId=self._kms_key_id,
        )
        return answer["Version"]

    def missing(self, names: Sequence[str]) -> list[str]:
        """Which of the named secrets the stage lacks, in their order, without decrypting any."""
        there = {stored.name for stored in self.stored(names)}
        return [name for name in names if name not in there]

    def stored(self, names: Sequence[str]) -> list[StoredSecret]:
        """Which of the named secrets the stage has, in their order, without decrypting any."""
        paths = {f"{self._prefix}/{name}": name for name in names}
        answer = self._ssm.get_parameters(Names=list(paths), WithDecryption=False)
        found = [
            StoredSecret(
                name=paths[one["Name"]],
                kind=one["Type"],
                version=one["Version"],
                changed_at=one["LastModifiedDate"].astimezone(UTC),
            )
            for one in answer["Parameters"]
        ]
        return sorted(found, key=lambda stored: names.index(stored.name))

    def salts(self) -> list[str]:
        """The salts by which a webhook is accepted as HitPay's now."""
        name = f"{self._prefix}/{HITPAY_WEBHOOK_SALTS}"
        answer = self._ssm.get_parameters(Names=[name], WithDecryption=True)
        return [salt for one in answer["Parameters"] for salt in salts_in(one["Value"])]
