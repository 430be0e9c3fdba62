"""`refundctl doctor`: is everything as it should be? What is not comes with what to do.

Nothing is changed, no secret is shown, and no money moves. Ends with 1 if something fails.
"""

from collections.abc import Callable, Iterator

from botocore.exceptions import ClientError

from refundctl import options
from refundctl.checks import ledger, providers, queues, release, secrets
from refundctl.checks.finding import Finding, Level, warn
from refundctl.exits import Exit
from refundctl.options import Call, Groups

CHECKS: tuple[tuple[str, Callable[[Call], Iterator[Finding]]], ...] = (
    ("secrets", secrets.check),
    ("providers", providers.check),
    ("queues", queues.check),
    ("ledger", ledger.check),
    ("release", release.check),
)


def declare(groups: Groups) -> None:
    """Add the command to the command line."""
    doctor = options.command(groups, "doctor", _doctor, "Is everything as it should be?")
    doctor.add_argument("--quiet", action="store_true", help="only what is not")


def _doctor(call: Call) -> Exit:
    findings: list[Finding] = []
    _ = call.target.stack  # nothing can be looked at without it
    with call.output.progress("Looking", len(CHECKS)) as advance:
        for name, check in CHECKS:
            findings += _carefully(name, check, call)
            advance(1)
    worst = max(finding.level for finding in findings)
    shown = [one for one in findings if one.level or not call.arguments.quiet]
    call.output.table(
        ("", "what", "found", "what to do"),
        [(one.level.name.lower(), one.check, one.found, one.todo) for one in shown],
        {
            "level": worst.name.lower(),
            "findings": [
                {
                    "level": one.level.name.lower(),
                    "check": one.check,
                    "found": one.found,
                    "todo": one.todo or None,
                }
                for one in shown
            ],
        },
        empty="Everything is as it should be.",
    )
    return Exit.REFUSED if worst is Level.FAIL else Exit.DONE


def _carefully(
    name: str, check: Callable[[Call], Iterator[Finding]], call: Call
) -> Iterator[Finding]:
    """The findings of a subject; a question that may not be asked is one, and stops no other."""
    try:
        yield from check(call)
    except ClientError as error:
        told = error.response["Error"]
        found = f"not all could be asked: {told.get('Code')}: {told.get('Message')}"
        yield warn(name, found, "Ask with an identity that may.")
