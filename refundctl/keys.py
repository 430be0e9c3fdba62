"""`refundctl keys`: who may call. A key is shown once, when it is made, and never again.

To change a caller's key without an interruption: `keys create NAME --another`, give it to the
caller, wait until the caller uses it, and `keys revoke` the old one by its id.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from deployed.api_keys import (
    ALL_SCOPES,
    CALLER_NAME,
    PAYOUT_SCOPE,
    SCOPES,
    ApiKey,
    ApiKeyStore,
    StoredKey,
    TooManyKeysError,
    new_api_key,
)
from refundctl import options
from refundctl.exits import Exit, MisusedError, RefusedError
from refundctl.options import Call, Groups
from refundctl.secret_file import keep_secret
from refundctl.target import Target
from refundctl.times import shown_with_zone

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient


def declare(groups: Groups) -> None:
    """Add the group to the command line."""
    keys = options.group(groups, "keys", "The keys that callers of the HTTP interface show.")
    create = options.command(keys, "create", _create, "Make a key and show it, this once.")
    create.add_argument("name", type=_caller_name, help="whose key; stands in refunds' history")
    create.add_argument(
        "--scope",
        action="append",
        choices=ALL_SCOPES,
        help="what it may do, once for each; left out: read and write, or what the caller's newest"
        " key may. refunds:payout sends money to whom the caller names",
    )
    create.add_argument(
        "--another",
        action="store_true",
        help="beside the keys that the caller has already, to change over",
    )
    create.add_argument(
        "--output",
        metavar="FILE",
        help="write the key there, for its owner alone; - for stdout, whatever reads it",
    )
    options.command(keys, "list", _list, "Show the keys' ids, callers and scopes.")
    revoke = options.command(keys, "revoke", _revoke, "Let a key in no longer.")
    revoke.add_argument("key", help="a key's id, or a caller's name")
    revoke.add_argument("--all", action="store_true", help="all keys of the caller, if several")


def _create(call: Call) -> Exit:
    store, name, output = _store(call.target), call.arguments.name, call.arguments.output
    if output is None and not sys.stdout.isatty():
        raise MisusedError(
            "Nobody sees it, and a log would keep it: say --output FILE, or --output - if what"
            " reads it keeps secrets."
        )
    if output not in (None, "-") and Path(output).exists():
        raise RefusedError(f"{output} is there already. No key was made.")
    theirs = [key for key in store.all() if key.name == name]
    if theirs and not call.arguments.another:
        raise RefusedError(
            f"{name} has a key already: {_ids(theirs)}. To change over, make one beside it with "
            "--another, and revoke the old one when the new one is in use."
        )
    scopes = call.arguments.scope or _scopes_like(theirs)
    key = new_api_key(name, scopes)
    file = None if output in (None, "-") else Path(output)
    within = _cache_seconds(call.target)
    _keep(store, key, file)
    call.output.say(f"The key {key.id}, for {', '.join(key.scopes)}. It is shown this once.")
    call.output.result(
        f"Written to {output}." if file else key.text,
        {
            "id": key.id,
            "name": name,
            "scopes": list(key.scopes),
            **({"file": output} if file else {"key": key.text}),
            "effective_within_seconds": within,
        },
    )
    call.output.say(f"It is let in everywhere within {within} s.")
    return Exit.DONE


def _keep(store: ApiKeyStore, key: ApiKey, file: Path | None) -> None:
    """Write a new key to its file, then store it, so that no key is stored that nobody has."""
    if file is not None:
        keep_secret(file, key.text)
    try:
        store.add(key)
    except TooManyKeysError as error:
        if file is not None:
            file.unlink()
        raise RefusedError(str(error)) from error


def _scopes_like(theirs: Sequence[StoredKey]) -> Sequence[str]:
    """The scopes of a new key if none are given: those of its caller's newest key, or else read
    and write."""
    newest = theirs[-1].scopes if theirs else SCOPES
    if PAYOUT_SCOPE in newest:
        raise RefusedError(
            f"Its newest key has {PAYOUT_SCOPE}, which no key has unasked: say each --scope."
            " No key was made."
        )
    return newest


def _list(call: Call) -> Exit:
    keys = _store(call.target).all()
    call.output.table(
        ("id", "caller", "scopes", "made"),
        [
            (
                key.id,
                key.name or "(unreadable: lets nobody in)",
                ", ".join(key.scopes),
                shown_with_zone(int(key.made_at.timestamp()) * 1000),
            )
            for key in keys
        ],
        [
            {
                "id": key.id,
                "name": key.name,
                "scopes": list(key.scopes),
                "made_at": f"{key.made_at:%Y-%m-%dT%H:%M:%SZ}",
            }
            for key in keys
        ],
        empty="There are no keys.",
    )
    return Exit.DONE


def _revoke(call: Call) -> Exit:
    store, asked = _store(call.target), call.arguments.key
    keys = [key for key in store.all() if asked in (key.id, key.name)]
    if len(keys) > 1 and not call.arguments.all:
        raise RefusedError(
            f"{asked} has {len(keys)} keys: {_ids(keys)}. Name one, or say --all; nothing was "
            "revoked."
        )
    store.remove([key.id for key in keys])
    within = _cache_seconds(call.target)
    call.output.result(
        f"Revoked {_ids(keys)}." if keys else f"There is no key {asked}: nothing to revoke.",
        {"revoked": [key.id for key in keys], "effective_within_seconds": within},
    )
    if keys:
        call.output.say(f"No function lets it in after {within} s.")
    return Exit.DONE


def _store(target: Target) -> ApiKeyStore:
    ssm: SSMClient = target.client("ssm")
    stack = target.stack
    kms_key_id = stack.parameters.get("KmsKeyArn", "")
    return ApiKeyStore(ssm, stack.outputs["SecretsPrefix"], kms_key_id=kms_key_id)


def _cache_seconds(target: Target) -> int:
    """How long the functions remember what they read."""
    return int(target.stack.parameters["SecretsCacheSeconds"])


def _ids(keys: list[StoredKey]) -> str:
    return ", ".join(key.id for key in keys)


def _caller_name(text: str) -> str:
    if not CALLER_NAME.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r}: lowercase letters, digits, - and _, up to 63")
    return text
