"""Our callers' keys as a stage stores them: one SecureString each, with a digest and not the key.

A key's id is `<caller>.<random>` and is never used again. So two keys of one caller can be valid at
the same time while the caller changes from one to the other, and revoking an old key a second time
cannot hit a new one. The functions read what is stored here with `ApiKeys` of
`adapters/ssm/api_keys.py`.
"""

import hashlib
import json
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient
    from mypy_boto3_ssm.type_defs import ParameterTypeDef

FOLDER = "api-keys"
SCOPES = ("refunds:read", "refunds:write")
# Allows refunds to a customer whom the caller names. No key has this scope unless it is asked for.
PAYOUT_SCOPE = "refunds:payout"
ALL_SCOPES = (*SCOPES, PAYOUT_SCOPE)
# The functions read no more keys than this.
KEYS_MAX = 200
CALLER_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}", re.ASCII)
AWS_OWN_KEY = "alias/aws/ssm"
REQUEST_PAGE = 10  # the Systems Manager's own limit


class TooManyKeysError(RuntimeError):
    """A stage has as many keys as the functions read; one must be revoked first."""


@dataclass(frozen=True)
class ApiKey:
    """A new key of a caller. Its text exists only here: it is not stored."""

    id: str
    name: str
    text: str = field(repr=False)
    scopes: tuple[str, ...] = SCOPES

    @property
    def stored(self) -> str:
        """What is stored of the key: enough to recognise it, not enough to use it."""
        digest = hashlib.sha256(self.text.encode()).hexdigest()
        return json.dumps({"name": self.name, "scopes": list(self.scopes), "sha256": digest})


@dataclass(frozen=True)
class StoredKey:
    """A stored key as it can be shown.

    Attributes:
        name: the caller; `None` if what is stored cannot be read: then the key lets nobody in.
        made_at: when it was stored. A key is never changed.
    """

    id: str
    name: str | None
    scopes: tuple[str, ...]
    made_at: datetime


def new_api_key(name: str, scopes: Sequence[str] = SCOPES) -> ApiKey:
    """Make a key that nobody can guess, of 256 random bits.

    Raises:
        ValueError: the name cannot be a caller's name, in a parameter and in the history.
    """
    if not CALLER_NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no caller's name: lowercase letters, digits, - and _")
    key_id, text = f"{name}.{secrets.token_hex(4)}", f"rbk_{secrets.token_urlsafe(32)}"
    return ApiKey(key_id, name, text, tuple(sorted(set(scopes))))


class ApiKeyStore:
    """The keys under one stage's prefix. What is written or removed is durable on return.

    The functions notice a change when their cache expires. Every method may raise botocore's
    errors.
    """

    def __init__(self, ssm: "SSMClient", prefix: str, *, kms_key_id: str = "") -> None:
        """`kms_key_id` is the customer's key to encrypt with; AWS's own if it is empty."""
        self._ssm = ssm
        self._path = f"{prefix}/{FOLDER}"
        self._kms_key_id = kms_key_id or AWS_OWN_KEY

    def all(self) -> list[StoredKey]:
        """All keys, by caller, the oldest first."""
        pages = self._ssm.get_paginator("get_parameters_by_path").paginate(
            Path=self._path, WithDecryption=True
        )
        found = [_shown(parameter) for page in pages for parameter in page["Parameters"]]
        return sorted(found, key=lambda key: (key.name or "", key.made_at, key.id))

    def add(self, key: ApiKey) -> None:
        """Store a new key.

        Raises:
            TooManyKeysError: there are as many keys as the functions read.
        """
        if len(self.all()) >= KEYS_MAX:
            raise TooManyKeysError(f"There are {KEYS_MAX} keys already; revoke one first.")
        self._ssm.put_parameter(
            Name=f"{self._path}/{key.id}",
            Value=key.stored,
            Type="SecureString",
            Overwrite=False,
            KeyId=self._kms_key_id,
        )

    def remove(self, key_ids: Sequence[str]) -> None:
        """Revoke keys; ids that are not there are ignored."""
        names = [f"{self._path}/{key_id}" for key_id in key_ids]
        for start in range(0, len(names), REQUEST_PAGE):
            self._ssm.delete_parameters(Names=names[start : start + REQUEST_PAGE])


def _shown(parameter: "ParameterTypeDef") -> StoredKey:
    key_id = parameter["Name"].rpartition("/")[2]
    made_at = parameter["LastModifiedDate"].astimezone(UTC)
    try:
        stored = json.loads(parameter["Value"])
        name, scopes = stored["name"], tuple(stored["scopes"])
        readable = isinstance(name, str) and all(isinstance(scope, str) for scope in scopes)
    except (ValueError, TypeError, KeyError):
        readable = False
    return (
        StoredKey(key_id, name, scopes, made_at)
        if readable
        else StoredKey(key_id, None, (), made_at)
    )
