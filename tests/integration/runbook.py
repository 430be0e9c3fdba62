"""Reads the commands of `docs/runbook.md`, and runs each as it is written there.

A line of `refundctl` is run by the command itself, in this process, with only another stage: the
given stack. Every question is answered with yes. The AWS CLI is no dependency of this project, so
one of its lines is run as the call that it makes: `aws logs tail` reads a group's events, and `aws
lambda invoke` invokes. The embedded cloud does not support patterns with `?`, so the few forms that
the runbook uses are applied here, as CloudWatch describes them.
"""

import io
import re
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from deployed import paths
from local.aws_environment import exports
from local.stack import RunningStack
from refund_bridge.adapters.aws_runtime.system_clock import SystemClock
from refundctl.command import main
from refundctl.target import Target, target_of
from refundctl.times import duration_ms

RUNBOOK = paths.ROOT / "docs" / "runbook.md"
STAGE = "production"
STACK = f"refund-bridge-{STAGE}"
_PAGE = re.compile(r"^#{1,2} (.+)$", re.MULTILINE)
_BLOCK = re.compile(r"^ *```sh\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
_OPTION = "--"


@dataclass(frozen=True)
class Ended:
    """How a line ended: its exit code, and what it wrote."""

    exit_code: int
    said: str


def pages() -> dict[str, list[str]]:
    """The lines for a shell of each page that has any, by the page's title, in their order."""
    parts = _PAGE.split(RUNBOOK.read_text())[1:]
    found = {
        title: [line for block in _BLOCK.findall(text) for line in _lines(block)]
        for title, text in zip(parts[::2], parts[1::2], strict=True)
    }
    return {title: lines for title, lines in found.items() if lines}


def _lines(block: str) -> Iterator[str]:
    """Each command on one line, its continued lines joined."""
    joined = re.sub(r"\\\n\s*", "", block)
    yield from (line.strip() for line in joined.splitlines() if line.strip())


class Shell:
    """Runs lines of the runbook against a stack on this machine."""

    def __init__(self, stack: RunningStack, stack_file: Path) -> None:
        self._stack = stack
        self._stack_file = stack_file

    def run(self, line: str, put_in: Mapping[str, str]) -> Ended:
        """Run a line, with its placeholders replaced."""
        for placeholder, text in put_in.items():
            line = line.replace(placeholder, text)
        assert not re.search("…|<", line), f"{line} leaves something open"
        program, *arguments = shlex.split(line)
        if program == "refundctl":
            return self._refundctl(arguments)
        if program == "eval":
            assert arguments == ["$(.venv/bin/python -m local.aws_environment)"]
            return Ended(0, exports(self._stack_file))
        assert program == "aws", f"{line}: no test can run {program}"
        return self._aws(arguments)

    # --- refundctl ------------------------------------------------------------------------------

    def _refundctl(self, arguments: list[str]) -> Ended:
        written = io.StringIO()
        agreeing = patch.object(sys, "stdin", _Agreeing("y\n"))
        with agreeing, redirect_stdout(written), redirect_stderr(written):
            exit_code = main(arguments, self._find)
        return Ended(exit_code, written.getvalue())

    def _find(self, stage: str | None, stack_file: Path | None) -> Target:
        assert (stage, stack_file) == (STAGE, None), "each command of the runbook names the stage"
        return target_of(None, self._stack_file)

    # --- the AWS CLI ----------------------------------------------------------------------------

    def _aws(self, arguments: list[str]) -> Ended:
        service, operation, *rest = arguments
        calls: dict[tuple[str, str], Callable[..., str]] = {
            ("logs", "tail"): self._tail,
            ("lambda", "invoke"): self._invoke,
        }
        given = _options(rest)
        named = [one.replace(STACK, self._stack.stage.stack_name) for one in given.positional]
        options = {
            name: text.replace(STACK, self._stack.stage.stack_name)
            for name, text in given.options.items()
        }
        return Ended(0, calls[service, operation](*named, **options))

    def _tail(self, group: str, *, since: str, filter_pattern: str = "") -> str:
        begun_ms = SystemClock().now_ms() - duration_ms(since)
        pages = (
            self._stack.client("logs")
            .get_paginator("filter_log_events")
            .paginate(logGroupName=group, startTime=begun_ms)
        )
        messages = [event["message"] for page in pages for event in page["events"]]
        return "\n".join(one for one in messages if _matches(filter_pattern, one))

    def _invoke(self, file: str, *, function_name: str, cli_read_timeout: str) -> str:
        assert file == "/dev/stdout"
        assert int(cli_read_timeout) > 300  # longer than the function runs, else it is run twice
        name, _, alias = function_name.partition(":")
        caller = self._stack.clients.caller_of_functions()
        answer: Any = caller.invoke(FunctionName=name, Qualifier=alias)
        assert "FunctionError" not in answer, answer
        return str(answer["Payload"].read().decode())


class _Agreeing(io.StringIO):
    """A terminal with a person who answers yes."""

    def isatty(self) -> bool:
        return True


@dataclass(frozen=True)
class _Given:
    positional: list[str]
    options: dict[str, str]


def _options(arguments: list[str]) -> _Given:
    """The arguments, and the options, each of which has one value."""
    positional, options, rest = list[str](), dict[str, str](), iter(arguments)
    for one in rest:
        if one.startswith(_OPTION):
            options[one.removeprefix(_OPTION).replace("-", "_")] = next(rest)
        else:
            positional.append(one)
    return _Given(positional, options)


def _matches(pattern: str, message: str) -> bool:
    """Whether CloudWatch would show the message: it has all terms, or one that begins with `?`.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html
    """
    terms = shlex.split(pattern)
    any_of = [term[1:] for term in terms if term.startswith("?")]
    assert not any_of or len(any_of) == len(terms), f"{pattern} mixes two forms"
    return (
        any(map(message.__contains__, any_of)) if any_of else all(term in message for term in terms)
    )
