"""`refundctl doctor`: is everything as it should be? If something is not, it says what to do.

Nothing is changed, no secret is shown, and no money moves. Ends with 1 if something fails, and
with 3, without findings, if the stack itself cannot be asked.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from refund_bridge.adapters.http.api_key import KeyUnavailableError
from refund_bridge.config import ConfigurationError
from refund_bridge.ports.ledger import LedgerUnavailableError
from refund_bridge.ports.processor import ProviderUnavailableError
from refund_bridge.ports.queues import DoorbellError
from refundctl import options
from refundctl.checks import ledger, providers, queues, release, secrets, webhooks
from refundctl.checks.finding import Finding, Level, fail, warn
from refundctl.exits import Exit, UnreachableError
from refundctl.options import Call, Groups
from refundctl.output import Sheet, table_of

CHECKS: tuple[tuple[str, Callable[[Call], Iterator[Finding]]], ...] = (
    ("secrets", secrets.check),
    ("providers", providers.check),
    ("queues", queues.check),
    ("ledger", ledger.check),
    ("webhooks", webhooks.check),
    ("release", release.check),
)
# The error codes by which AWS says that an identity lacks a right.
DENIALS: Final = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "AuthorizationError",
        "UnauthorizedException",
        "UnauthorizedOperation",
    }
)
# Errors that end the checks of one subject. Any other is a defect of the doctor, and ends it all.
NO_ANSWER: Final = (
    BotoCoreError,
    ConfigurationError,
    DoorbellError,
    KeyUnavailableError,
    LedgerUnavailableError,
    ProviderUnavailableError,
    UnreachableError,
)
SEE_TO_IT: Final = "See to that; then ask again."


def declare(groups: Groups) -> None:
    """Add the command to the command line."""
    doctor = options.command(groups, "doctor", _doctor, "Is everything as it should be?")
    doctor.add_argument("--quiet", action="store_true", help="only what is not")
    doctor.add_argument(
        "--webhooks", action="store_true", help="send a test event to each address of webhooks"
    )


def _doctor(call: Call) -> Exit:
    findings: list[Finding] = []
    _ = call.target.stack  # nothing can be looked at without it
    with call.output.progress("Looking", len(CHECKS)) as advance:
        for name, check in CHECKS:
            findings += _carefully(name, check, call)
            advance(1)
    worst = max(finding.level for finding in findings)
    shown = [one for one in findings if one.level or not call.arguments.quiet]
    value = {"level": worst.name.lower(), "findings": [_json(call, one) for one in shown]}
    call.output.page(_parts(call, shown), value)
    if not shown:
        call.output.say("Everything is as it should be.")
    return Exit.REFUSED if worst is Level.FAIL else Exit.DONE


def _parts(call: Call, shown: Sequence[Finding]) -> Iterator[str | Sheet]:
    """The findings, and below them the commands: in a table's cell they would be folded."""
    if shown:
        rows = [(one.level.name.lower(), one.check, one.found, one.todo) for one in shown]
        yield table_of(("", "what", "found", "what to do"), rows)
    for one in shown:
        if one.commands:
            yield ""
            yield f"{one.check}: {one.todo}"
            yield from (f"  {call.line(command)}" for command in one.commands)


def _json(call: Call, finding: Finding) -> dict[str, Any]:
    return {
        "level": finding.level.name.lower(),
        "check": finding.check,
        "found": finding.found,
        "todo": finding.todo or None,
        "commands": list(map(call.line, finding.commands)),
    }


def _carefully(
    name: str, check: Callable[[Call], Iterator[Finding]], call: Call
) -> Iterator[Finding]:
    """The findings of a subject. If a question gets no answer, that is a finding too, and the other
    subjects are still checked.

    A question that the operator has no right to ask tells nothing about the deployment, so it is
    only a warning.
    """
    try:
        yield from check(call)
    except ClientError as error:
        refusal = error.response.get("Error", {})
        found = f"not all could be asked: {refusal.get('Code')}: {refusal.get('Message')}"
        if refusal.get("Code") in DENIALS:
            yield warn(name, found, "Ask with an identity that may.")
        else:
            yield fail(name, found, SEE_TO_IT)
    except NO_ANSWER as error:
        yield fail(name, f"not all could be asked: {error}", SEE_TO_IT)
