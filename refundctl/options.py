"""How commands are declared, and the options that each of them has."""

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final, TypeAlias

from deployed import command_lines as lines
from deployed.command_lines import Spelt, spelt
from refundctl import times
from refundctl.exits import Exit, MisusedError
from refundctl.output import Output
from refundctl.refunding.service import NoKeyError, Service, service_of
from refundctl.target import LOCAL, Target
from refundctl.world import World, world_of

# The name of the operator's key in a command that we propose.
KEY_NAME: Final = "desk"
Groups: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


@dataclass(frozen=True)
class Call:
    """One command as it was asked for."""

    arguments: argparse.Namespace
    target: Target
    output: Output
    build: Callable[[Target], World] = world_of
    reach: Callable[[Target, Path | None], Service] = service_of
    sleep: Callable[[float], object] = time.sleep

    @cached_property
    def world(self) -> World:
        """The product's own ledger, providers and use cases, for the target."""
        return self.build(self.target)

    @contextmanager
    def service(self) -> Iterator[Service]:
        """The target's deployed interface, called with the operator's own key.

        Raises:
            MisusedError: there is no key.
        """
        try:
            service = self.reach(self.target, self.arguments.key_file)
        except NoKeyError as error:
            file = f"{KEY_NAME}.key"
            made = self.line(spelt("keys", "create", KEY_NAME, "--output", file))
            raise MisusedError(f"{error} Make one for --key-file {file}: {made}") from error
        try:
            yield service
        finally:
            service.close()

    def close(self) -> None:
        """Close the world's connections, if the world was used."""
        if "world" in self.__dict__:
            self.world.close()

    def line(self, command: Spelt) -> str:
        """A command as a line for the shell of this call, and for the same deployment and zone."""
        return lines.line(command, self._where(anywhere=False))

    def line_anywhere(self, command: Spelt) -> str:
        """As `line`, for a shell that may be in another directory."""
        return lines.line(command, self._where(anywhere=True), anywhere=True)

    def _where(self, *, anywhere: bool) -> list[str]:
        asked = self.arguments
        where: list[str] = []
        if asked.stack_file is not None:
            file: Path = asked.stack_file.absolute() if anywhere else asked.stack_file
            where = ["--stack-file", str(file)]
        elif asked.stage not in (None, LOCAL):
            where = ["--stage", asked.stage]
        return where if asked.tz is None else [*where, "--tz", asked.tz.option]


Command = Callable[[Call], Exit]


def group(groups: Groups, name: str, summary: str) -> Groups:
    """Declare a group of commands."""
    parser = groups.add_parser(name, help=summary, description=summary)
    return parser.add_subparsers(title="commands", metavar="COMMAND", required=True)


def command(groups: Groups, name: str, run: Command, summary: str) -> argparse.ArgumentParser:
    """Declare a command; the result takes its own options."""
    parser = groups.add_parser(name, help=summary, description=summary)
    parser.set_defaults(run=run)
    where = parser.add_argument_group("where").add_mutually_exclusive_group()
    where.add_argument("--stage", metavar="NAME", help="a stage of samconfig.toml, on AWS")
    where.add_argument(
        "--local",
        dest="stage",
        action="store_const",
        const=LOCAL,
        help="what runs on this machine; the same without --stage",
    )
    where.add_argument(
        "--stack-file",
        type=Path,
        metavar="FILE",
        help="another local stack than that of make run, by the file it left",
    )
    parser.add_argument("--json", action="store_true", help="the result for machines")
    parser.add_argument(
        "--tz",
        type=times.zone,
        metavar="ZONE",
        help="show times, and read days, as in Asia/Singapore or local; UTC. JSON and CSV are in"
        " UTC whatever is said",
    )
    return parser


def whole(least: int, most: int) -> Callable[[str], int]:
    """A function that reads a whole number within bounds; for argparse."""

    def read(text: str) -> int:
        if text.isascii() and text.isdigit() and least <= int(text) <= most:
            return int(text)
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from {least} to {most}")

    return read
