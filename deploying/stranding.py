"""Which open refunds a deployment would strand: those sent to an account that it changes.

An instruction that was sent to one account, or under one form of idempotency key, cannot be found
with another. Settling leaves such refunds alone, so a person would have to decide them.
"""

from collections.abc import Iterable, Mapping

from deployed import paths
from deployed.clients import CloudClients
from deployed.command_lines import line, spelt
from deployed.stages import Stage
from deploying.template_yaml import read_template
from refund_bridge.adapters.dynamodb.ledger import DynamoDbLedger
from refund_bridge.adapters.dynamodb.listing import DynamoDbListing
from refund_bridge.config import ConfigurationError, Mode
from refund_bridge.domain.refund import Refund
from refund_bridge.processors.registry import set_up
from refundctl import walk
from refundctl.exits import UnreachableError
from refundctl.facts import NOT_FINAL
from refundctl.processors import environment_of
from refundctl.target import Target

NAMED_MAX = 5


class StrandingError(RuntimeError):
    """The deployment would strand open refunds; nothing was deployed."""


def accounts_of(parameters: Mapping[str, str]) -> dict[str, str]:
    """The fingerprint of each processor's account, by its name.

    Raises:
        StrandingError: a processor is set up wrongly.
    """
    try:
        found = set_up(environment_of(parameters), Mode(parameters["Mode"]))
    except ConfigurationError as error:
        raise StrandingError(str(error)) from error
    return {name: settings.account for name, settings in found.items()}


def stranded(
    refunds: Iterable[Refund], before: Mapping[str, str], after: Mapping[str, str]
) -> list[Refund]:
    """The open ones of ``refunds`` whose processor gets another account than theirs.

    A refund without an account (not sent yet, or sent by an earlier release) counts as one of the
    account in ``before``.
    """
    return [
        one
        for one in refunds
        if one.state in NOT_FINAL
        and before.get(one.processor) != after.get(one.processor)
        and (one.account or before.get(one.processor)) != after.get(one.processor)
    ]


def refuse_stranding(clients: CloudClients, stage: Stage) -> None:
    """Stop before a deployment that changes the account of refunds that are open.

    Raises:
        StrandingError: there are such refunds; the sentence names them and says what to do.
        LedgerUnavailableError, botocore's errors: the stack or its ledger could not be read.
    """
    target = Target(stage.name, stage.stack_name, clients)
    try:
        deployed = target.stack
    except UnreachableError:
        return  # the first deployment
    defaults = {
        name: str(parameter["Default"])
        for name, parameter in read_template(paths.TEMPLATE)["Parameters"].items()
        if "Default" in parameter
    }
    before = accounts_of(deployed.parameters)
    after = accounts_of(defaults | dict(deployed.parameters) | stage.parameters)
    changed = sorted(name for name in before if before[name] != after.get(name))
    if not changed:
        return
    dynamodb, table = target.client("dynamodb"), deployed.outputs["LedgerTable"]
    ledger, listing = DynamoDbLedger(dynamodb, table), DynamoDbListing(dynamodb, table)
    if left := stranded(walk.open_refunds(ledger, listing), before, after):
        ids = ", ".join(one.id for one in left[:NAMED_MAX])
        more = f" and {len(left) - NAMED_MAX} more" if len(left) > NAMED_MAX else ""
        raise StrandingError(
            f"This changes the account of {', '.join(changed)}, or the form of our keys there, "
            f"while {ids}{more} are open: they could not be found there any more. Deploy with the "
            "former settings, wait until these have ended, then change it. They are shown by: "
            f"{line(spelt('list'), ['--stage', stage.name])}"
        )
