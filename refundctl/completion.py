"""`refundctl completion`: what a shell needs to complete commands, options and their values.

The script is made from the parser itself, so it has every command and option of this checkout. It
is static: pressing the tab key starts no program.
"""

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from refundctl.options import Groups

FILE: Final = "FILE"


@dataclass(frozen=True)
class Option:
    """One option of a command.

    Attributes:
        names: `--limit`, or `-h` and `--help`.
        values: the values that may follow it, if they are known.
        takes: whether a value follows it.
        is_file: whether that value is a file's name.
    """

    names: Sequence[str]
    says: str
    values: Sequence[str]
    takes: bool
    is_file: bool


@dataclass(frozen=True)
class Place:
    """A position on the command line, such as after `dlq list`, and what can follow there.

    Attributes:
        path: the commands so far.
        words: the words other than options that can follow, with their meaning.
    """

    path: str
    words: Mapping[str, str]
    options: Sequence[Option]

    @property
    def offered(self) -> str:
        """All that can follow, separated by blanks."""
        return " ".join([*self.words, *(name for one in self.options for name in one.names)])


def declare(groups: Groups) -> None:
    """Add the command to the command line. It needs no deployment."""
    summary = "A script with which a shell completes commands and options."
    completion = groups.add_parser("completion", help=summary, description=summary)
    completion.add_argument("shell", choices=tuple(SCRIPTS), help="which shell")
    completion.set_defaults(alone=script)


def script(asked: argparse.Namespace, whole: argparse.ArgumentParser) -> list[str]:
    """The lines of the script for the shell that is asked for."""
    return list(SCRIPTS[asked.shell](list(places(whole))))


def places(parser: argparse.ArgumentParser, path: tuple[str, ...] = ()) -> Iterator[Place]:
    """Every place on the line, the shortest first."""
    words: dict[str, str] = {}
    below: dict[str, argparse.ArgumentParser] = {}
    options = []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            words |= {one.dest: one.help or "" for one in action._choices_actions}
            below |= action.choices
        elif action.option_strings:
            options.append(_option(action))
        elif action.choices is not None:
            words |= dict.fromkeys(action.choices, "")
    yield Place(" ".join(path), words, options)
    for name, each in below.items():
        yield from places(each, (*path, name))


def _option(action: argparse.Action) -> Option:
    return Option(
        names=tuple(action.option_strings),
        says=action.help or "",
        values=tuple(map(str, action.choices or ())),
        takes=action.nargs != 0,
        is_file=action.type is Path or action.metavar == FILE,
    )


# --- bash and zsh ---------------------------------------------------------------------------------


def _bash(found: Sequence[Place]) -> Iterator[str]:
    yield "_refundctl() {"
    yield '    local word="${COMP_WORDS[COMP_CWORD]}" before="${COMP_WORDS[COMP_CWORD-1]}" at= one'
    yield '    for one in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do'
    yield from _followed(found)
    yield "    done"
    yield "    COMPREPLY=()"
    yield from _cases(
        found,
        before='"$at $before"',
        file='compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$word"))',
        words=lambda text: f'COMPREPLY=($(compgen -W "{text}" -- "$word"))',
    )
    yield "}"
    yield "complete -F _refundctl refundctl"


def _zsh(found: Sequence[Place]) -> Iterator[str]:
    yield "_refundctl() {"
    yield "    local at= one"
    yield '    for one in "${(@)words[2,CURRENT-1]}"; do'
    yield from _followed(found)
    yield "    done"
    yield from _cases(
        found,
        before='"$at ${words[CURRENT-1]}"',
        file="_files",
        words=lambda text: f"compadd -- {text}",
    )
    yield "}"
    yield "compdef _refundctl refundctl"


def _followed(found: Sequence[Place]) -> Iterator[str]:
    """Shell code that walks the words before the cursor and finds the command among them."""
    known = "|".join(
        f'"{path} {name}"' for path, _, name in (one.path.rpartition(" ") for one in found) if name
    )
    yield '        case "$at $one" in'
    yield f'            {known}) at="${{at:+$at }}$one";;'
    yield "        esac"


def _cases(
    found: Sequence[Place], *, before: str, file: str, words: Callable[[str], str]
) -> Iterator[str]:
    """Shell code that offers an option's values, or else what can follow the command."""
    yield f"    case {before} in"
    for one in found:
        for option in one.options:
            if option.takes:
                where = "|".join(f'"{one.path} {name}"' for name in option.names)
                then = words(" ".join(option.values)) if option.values else ":"
                yield f"        {where}) {file if option.is_file else then}; return;;"
    yield "    esac"
    yield '    case "$at" in'
    for one in found:
        yield f'        "{one.path}") {words(one.offered)};;'
    yield "    esac"


# --- fish -----------------------------------------------------------------------------------------


def _fish(found: Sequence[Place]) -> Iterator[str]:
    known = " ".join(
        f'"{path} {name}"' for path, _, name in (one.path.rpartition(" ") for one in found) if name
    )
    yield "function __refundctl_at"
    yield "    set -l at"
    yield "    for one in (commandline -opc)[2..-1]"
    yield '        switch "$at $one"'
    yield f"            case {known}"
    yield '                set at (string trim "$at $one")'
    yield "        end"
    yield "    end"
    yield '    test "$at" = "$argv"'
    yield "end"
    yield "complete -c refundctl -f"
    for one in found:
        at = f"complete -c refundctl -n '__refundctl_at {one.path}'"
        for word, says in one.words.items():
            yield f"{at} -a {word} -d {_in_fish(says)}"
        for option in one.options:
            yield f"{at} {_option_in_fish(option)} -d {_in_fish(option.says)}"


def _option_in_fish(option: Option) -> str:
    named = " ".join(
        f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in option.names
    )
    if option.is_file:
        return f"{named} -r -F"
    if not option.takes:
        return named
    return f"{named} -x" + (f" -a {_in_fish(' '.join(option.values))}" if option.values else "")


def _in_fish(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


SCRIPTS: Final = {"bash": _bash, "zsh": _zsh, "fish": _fish}
