"""The command line: find the command, run it, and end with one sentence if it fails."""

import argparse
import re
import time
import tomllib
from collections.abc import Callable, Sequence
from contextlib import closing
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    SSOError,
    TokenRetrievalError,
)

from deployed import paths
from refund_bridge.adapters.http.api_key import KeyUnavailableError
from refund_bridge.config import ConfigurationError
from refund_bridge.domain.errors import RefundBridgeError
from refund_bridge.ports.ledger import LedgerConflictError, LedgerUnavailableError
from refund_bridge.ports.processor import ProviderUnavailableError
from refund_bridge.ports.queues import DoorbellError
from refundctl import (
    completion,
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
    refund,
    report,
    resolve,
    review,
    secrets,
    show,
    sync,
    times,
    unlink,
    webhooks,
    who,
    withdraw,
)
from refundctl.console import command as console
from refundctl.exits import CommandError, Exit
from refundctl.options import Call
from refundctl.output import Output, end_quietly, to_its_end
from refundctl.refunding.service import Service, service_of
from refundctl.target import Target, target_of
from refundctl.world import World, world_of

GROUPS = (
    listing,
    find,
    show,
    sync,
    refund,
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
    completion,
)
EPILOG = "Ends with " + ", ".join(f"{code} {code.name.lower()}" for code in Exit) + "."
SIGN_IN = "Sign in to AWS, and name your profile: export AWS_PROFILE=NAME"
NOT_SIGNED_IN = (
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    CredentialRetrievalError,
    SSOError,
    TokenRetrievalError,
)
# What AWS answers to credentials that have expired, or that it does not know.
NOT_SIGNED_IN_CODES = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidClientTokenId",
        "UnrecognizedClientException",
        "InvalidAccessKeyId",
        "AuthFailure",
    }
)
_CHOICES = re.compile(r"invalid choice: '(?P<given>[^']*)' \(choose from (?P<known>.*)\)")


class Parser(argparse.ArgumentParser):
    """Suggests similar words; accepts no shortened options, since a wrong one may move money."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **{**options, "allow_abbrev": False})

    def error(self, message: str) -> NoReturn:
        """End the program with the message."""
        found = _CHOICES.search(message)
        if found is not None:
            known = [one.strip("'") for one in found["known"].split(", ")]
            near = get_close_matches(found["given"], known, n=1)
            message += f". Did you mean {near[0]}?" if near else ""
        elif message.startswith("unrecognized arguments:"):
            given = message.partition(":")[2].split()[0].partition("=")[0]
            near = get_close_matches(given, self.options_known, n=1)
            message += f". Did you mean {near[0]}?" if near else ""
        super().error(message)

    @property
    def options_known(self) -> set[str]:
        """Every option of it and of its commands."""
        found = {name for action in self._actions for name in action.option_strings}
        for action in self._actions:
            if isinstance(action, argparse._SubParsersAction):
                for each in action.choices.values():
                    found |= each.options_known
        return found


@cache
def parser() -> argparse.ArgumentParser:
    """The whole command line; made once, since that takes as long as some commands."""
    whole = Parser(prog="refundctl", description="See, decide and repair refunds.", epilog=EPILOG)
    whole.add_argument("--version", action="version", version=f"refundctl {version_of()}")
    whole.set_defaults(alone=None, json=False, tz=None)
    groups = whole.add_subparsers(title="groups", metavar="GROUP", required=True)
    for each in GROUPS:
        each.declare(groups)
    return whole


def version_of() -> str:
    """The version of this checkout."""
    with (paths.ROOT / "pyproject.toml").open("rb") as project:
        return str(tomllib.load(project)["project"]["version"])


def main(
    arguments: Sequence[str] | None = None,
    target: Callable[[str | None, Path | None], Target] = target_of,
    build: Callable[[Target], World] = world_of,
    reach: Callable[[Target, Path | None], Service] = service_of,
    sleep: Callable[[float], object] = time.sleep,
) -> int:
    """Run one command; the exit code says how it ended (`exits.Exit`)."""
    whole = parser()
    asked = whole.parse_args(arguments)
    output = Output(as_json=asked.json)
    exit_code: Exit
    try:
        with to_its_end():
            if asked.alone is not None:
                output.page(asked.alone(asked, whole), None)
                return Exit.DONE
            who.require_own_words(asked)
            found = target(asked.stage, asked.stack_file)
            return _run(Call(asked, found, output, build, reach, sleep))
    except CommandError as error:
        told, exit_code = str(error), error.exit
    except (ConfigurationError, RefundBridgeError) as error:
        told, exit_code = str(error), Exit.REFUSED
    except LedgerConflictError as error:
        told, exit_code = (
            f"Something else changed it meanwhile: {error}. Run it again.",
            Exit.REFUSED,
        )
    except LedgerUnavailableError as error:
        told, exit_code = f"The ledger gave no answer: {error}", Exit.UNREACHABLE
    except (DoorbellError, KeyUnavailableError, ProviderUnavailableError) as error:
        told, exit_code = f"No answer: {error}", Exit.UNREACHABLE
    except ClientError as error:
        told, exit_code = _refused_by_aws(error), Exit.UNREACHABLE
    except NOT_SIGNED_IN as error:
        told = f"{str(error).rstrip('.')}. {SIGN_IN}"
        exit_code = Exit.UNREACHABLE
    except BotoCoreError as error:
        told, exit_code = f"AWS could not be asked: {error}", Exit.UNREACHABLE
    except KeyboardInterrupt:
        told, exit_code = "Stopped.", Exit.STOPPED
    except BrokenPipeError:
        end_quietly()
        return Exit.UNREAD
    output.say(told)
    return exit_code


def _run(call: Call) -> Exit:
    """Run the command in its time zone, then close its connections."""
    run: Callable[[Call], Exit] = call.arguments.run
    with times.in_zone(call.arguments.tz or times.IN_UTC), closing(call):
        return run(call)


def _refused_by_aws(error: ClientError) -> str:
    refusal = error.response.get("Error", {})
    told = f"AWS refused: {refusal.get('Code')}: {refusal.get('Message')}"
    is_nobody = refusal.get("Code") in NOT_SIGNED_IN_CODES
    return f"{told.rstrip('.')}. {SIGN_IN}" if is_nobody else told
