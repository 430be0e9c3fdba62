"""The command line: find the command, run it, and end with one sentence if it cannot be done."""

import argparse
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from refundctl import (
    dlq,
    doctor,
    events,
    export,
    find,
    forget,
    handle,
    keys,
    listing,
    notes,
    reconcile,
    record,
    report,
    resolve,
    review,
    secrets,
    show,
    unlink,
    webhooks,
    withdraw,
)
from refundctl.console import command as console
from refundctl.exits import CommandError, Exit
from refundctl.options import Call
from refundctl.output import Output
from refundctl.target import Target, target_of
from refundctl.world import World, world_of
from refunds.adapters.api_key import KeyUnavailableError
from refunds.config import ConfigurationError
from refunds.errors import RefundBridgeError
from refunds.ports import (
    DoorbellError,
    LedgerConflictError,
    LedgerUnavailableError,
    ProviderUnavailableError,
)

GROUPS = (
    listing,
    find,
    show,
    review,
    resolve,
    report,
    record,
    unlink,
    withdraw,
    forget,
    handle,
    dlq,
    notes,
    reconcile,
    export,
    events,
    keys,
    secrets,
    webhooks,
    doctor,
    console,
)
EPILOG = "Ends with " + ", ".join(f"{code} {code.name.lower()}" for code in Exit) + "."


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    whole = argparse.ArgumentParser(
        prog="refundctl", description="See, decide and repair refunds.", epilog=EPILOG
    )
    groups = whole.add_subparsers(title="groups", metavar="GROUP", required=True)
    for each in GROUPS:
        each.declare(groups)
    return whole


def main(
    arguments: Sequence[str] | None = None,
    find: Callable[[str | None, Path | None], Target] = target_of,
    build: Callable[[Target], World] = world_of,
) -> int:
    """Run one command; the exit code says how it ended (`exits.Exit`)."""
    asked = parser().parse_args(arguments)
    output = Output(as_json=asked.json)
    exit_code: Exit
    try:
        run: Callable[[Call], Exit] = asked.run
        with closing(Call(asked, find(asked.stage, asked.stack_file), output, build)) as call:
            return run(call)
    except CommandError as error:
        told, exit_code = str(error), error.exit
    except (ConfigurationError, RefundBridgeError) as error:
        told, exit_code = str(error), Exit.REFUSED
    except LedgerConflictError as error:
        told, exit_code = f"Something else wrote meanwhile: {error}. Again, please.", Exit.REFUSED
    except LedgerUnavailableError as error:
        told, exit_code = f"The ledger gave no answer: {error}", Exit.UNREACHABLE
    except (DoorbellError, KeyUnavailableError, ProviderUnavailableError) as error:
        told, exit_code = f"No answer: {error}", Exit.UNREACHABLE
    except ClientError as error:
        refusal = error.response.get("Error", {})
        told = f"AWS refused: {refusal.get('Code')}: {refusal.get('Message')}"
        exit_code = Exit.UNREACHABLE
    except BotoCoreError as error:
        told, exit_code = f"AWS could not be asked: {error}", Exit.UNREACHABLE
    except KeyboardInterrupt:
        told, exit_code = "Stopped.", Exit.STOPPED
    output.say(told)
    return exit_code
