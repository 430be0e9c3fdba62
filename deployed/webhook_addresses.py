"""Merchants' webhook addresses as a stage keeps them: one SecureString each, with its secrets.

The state of an address (disabled, closed) is in the ledger, which the functions may write. They
read what is stored here with `adapters/ssm/webhook_addresses.py`.
"""

import secrets
from typing import TYPE_CHECKING

from deployed.api_keys import AWS_OWN_KEY
from refund_bridge.adapters.ssm.webhook_addresses import FOLDER
from refund_bridge.delivering.address import (
    ADDRESSES_MAX,
    SigningSecret,
    UnreadableAddressError,
    WebhookAddress,
    address_text,
    parse_address,
)

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient


class TooManyAddressesError(RuntimeError):
    """A stage has as many addresses as the functions read; one must be removed first."""


def new_secret() -> str:
    """A signing secret that nobody can guess, of 256 random bits, in the form of Stripe's."""
    return f"whsec_{secrets.token_hex(32)}"


def new_address(url: str, *, types: tuple[str, ...] = (), api_version: str) -> WebhookAddress:
    """A new address, with a new id and a secret of its own."""
    return WebhookAddress(
        id=f"we_{secrets.token_hex(8)}",
        url=url,
        secrets=(SigningSecret(new_secret()),),
        api_version=api_version,
        types=types,
    )


class WebhookAddressStore:
    """The addresses under one stage's prefix. What is written or removed is durable on return.

    The functions notice a change when their cache expires. Every method may raise botocore's
    errors.
    """

    def __init__(self, ssm: "SSMClient", prefix: str, *, kms_key_id: str = "") -> None:
        """`kms_key_id` is the customer's key to encrypt with; AWS's own if it is empty."""
        self._ssm = ssm
        self._path = f"{prefix}/{FOLDER}"
        self._kms_key_id = kms_key_id or AWS_OWN_KEY

    def all(self) -> list[WebhookAddress]:
        """All addresses that can be read, by their ids."""
        pages = self._ssm.get_paginator("get_parameters_by_path").paginate(
            Path=self._path, WithDecryption=True
        )
        found = []
        for page in pages:
            for parameter in page["Parameters"]:
                try:
                    found.append(parse_address(parameter["Value"]))
                except UnreadableAddressError:
                    continue
        return sorted(found, key=lambda address: address.id)

    def put(self, address: WebhookAddress) -> None:
        """Store an address, new or changed.

        Raises:
            TooManyAddressesError: it is new, and there are as many as the functions read.
        """
        there = {one.id for one in self.all()}
        if address.id not in there and len(there) >= ADDRESSES_MAX:
            raise TooManyAddressesError(
                f"There are {ADDRESSES_MAX} addresses already; remove one first."
            )
        self._ssm.put_parameter(
            Name=f"{self._path}/{address.id}",
            Value=address_text(address),
            Type="SecureString",
            Overwrite=address.id in there,
            KeyId=self._kms_key_id,
        )

    def remove(self, address_id: str) -> None:
        """Remove an address with its secrets; an id that is not there is ignored."""
        self._ssm.delete_parameters(Names=[f"{self._path}/{address_id}"])
