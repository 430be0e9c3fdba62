"""Asks a person for what a stage needs and no file has: its secrets, and who may ask for refunds.

Each is asked for once, at a terminal; without a terminal, the error names what is missing. Secrets
are typed without being displayed and go to the Systems Manager; the rest goes to samconfig.toml.
"""

import re
import sys
from getpass import getpass
from typing import TYPE_CHECKING

from deployed import paths
from deployed.api_keys import ApiKeyStore, new_api_key
from deployed.command_lines import line, spelt
from deployed.secrets import PROVIDER_KEYS, SecretStore, UnusableSecretError, needed, usable
from deployed.stages import Stage, keep_parameter
from deploying.template_yaml import read_template

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

SOURCES = "RefundRequestSources"
# The placeholder in samconfig.toml until somebody replaces it.
PLACEHOLDER_SOURCE = "com.example.orders"


class UnansweredError(RuntimeError):
    """Something is missing and there is no terminal to ask at, or the answer cannot be used."""


def ask_for_sources(stage: Stage) -> Stage:
    """The stage with the event sources that may ask for refunds, kept in samconfig.toml.

    Raises:
        UnansweredError: it still has the placeholder.
    """
    if PLACEHOLDER_SOURCE not in stage.parameters[SOURCES].split(","):
        return stage
    _require_somebody(f"{SOURCES} in samconfig.toml still names {PLACEHOLDER_SOURCE}")
    print(
        f"{SOURCES}: the sources (the field `source` of an event) that may ask for refunds by\n"
        "events, separated by commas, for example com.yourshop.orders. If there are none, say none."
    )
    sources = ",".join(_words(input("Sources: ")))
    pattern = read_template(paths.TEMPLATE)["Parameters"][SOURCES]["AllowedPattern"]
    if not sources or not all(re.fullmatch(pattern, one) for one in sources.split(",")):
        raise UnansweredError(f"{SOURCES}: letters, digits, . _ - and /, separated by commas")
    kept = keep_parameter(stage, SOURCES, sources)
    print(f"Kept in samconfig.toml: {SOURCES}={sources}; commit it.")
    return kept


def agree_to_take_back(ledger: str) -> None:
    """Ask a person to agree that a ledger without a stack becomes this stage's ledger.

    Raises:
        UnansweredError: nobody agreed.
    """
    _require_somebody(f"There is no stack, but its ledger {ledger}, which must be joined to it")
    print(
        f"There is no stack, but its ledger {ledger}: kept when the stack was deleted, or\n"
        "restored. It becomes this stage's ledger again. One that was restored does not know what\n"
        "was refunded since: then deploy with Paused=true first (docs/deploying.md, Restoring)."
    )
    if input("Type its name to join it to the stack: ").strip() != ledger:
        raise UnansweredError("That is not its name; nothing was changed.")


def ask_for_secrets(ssm: "SSMClient", stage: Stage) -> None:
    """Ask for the missing secrets, and make a first key for callers; durable on return.

    Only processors that the stage sets up need a key.

    The webhook's salts may be left out: HitPay shows a salt when the webhook is set up, and for
    that the stack's address is needed.

    Raises:
        UnansweredError: a provider's key is missing.
    """
    kms_key_id = stage.parameters["KmsKeyArn"]
    store = SecretStore(ssm, stage.secrets_prefix, kms_key_id=kms_key_id)
    for name in store.missing(needed(stage.parameters)):
        optional = name not in PROVIDER_KEYS
        if optional and not sys.stdin.isatty():
            continue
        _require_somebody(f"{stage.secrets_prefix}/{name} is missing")
        later = "; leave it empty if the webhook is not set up yet" if optional else ""
        text = getpass(f"{stage.secrets_prefix}/{name} (not shown{later}): ")
        if optional and not text.strip():
            later = line(spelt("secrets", "set", name), ["--stage", stage.name])
            print(f"  later: {later}")
            continue
        try:
            store.put(name, usable(name, text, stage.parameters["Mode"]))
        except UnusableSecretError as error:
            raise UnansweredError(str(error)) from error
    if stage.parameters["ApiAuth"] == "bearer":
        callers = ApiKeyStore(ssm, stage.secrets_prefix, kms_key_id=kms_key_id)
        _make_first_key(callers, stage.name)


def _make_first_key(callers: ApiKeyStore, stage: str) -> None:
    if callers.all():
        return
    if not sys.stdout.isatty():  # a log would keep the key
        make = spelt("keys", "create", "first", "--output", "first.key")
        print(f"No caller has a key yet: {line(make, ['--stage', stage])}")
    else:
        key = new_api_key("first")
        callers.add(key)
        print(f"Made an API key for callers; it is shown this once: {key.text}")


def _require_somebody(what_is_missing: str) -> None:
    if not sys.stdin.isatty():
        raise UnansweredError(f"{what_is_missing}; run this in a terminal to be asked for it")


def _words(text: str) -> list[str]:
    return text.replace(",", " ").split()
