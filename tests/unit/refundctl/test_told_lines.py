"""Every line that is told to an operator can be pasted, whether or not a test comes by it."""

import argparse
import ast
import shlex
from collections.abc import Iterator

import pytest

from deployed import paths
from deployed.command_lines import WORDS, option, spelt
from refundctl.command import parser
from refundctl.exits import Exit
from tests.fakes.processor_fates import RequestLost
from tests.fakes.world import World
from tests.unit.refundctl.operator import Operator
from tests.unit.refundctl.told_lines import require_parsed, require_pastable

# What a line is made of that stands in a variable: something of its kind.
VALUES = {
    "WORDS": WORDS,
    "KEY_NAME": "desk",
    "answer": "--owed",
    "command": "show",
    "name": "stripe-secret-key",
    "HITPAY_WEBHOOK_SALTS": "hitpay-webhook-salts",
}


def spellings() -> Iterator[tuple[str, list[str]]]:
    """Every line in the code, by where it is made."""
    for folder in ("refundctl", "deploying", "local"):
        for file in sorted((paths.ROOT / folder).rglob("*.py")):
            text = file.read_text()
            if "spelt(" not in text:  # to parse them all would take a second
                continue
            for node in ast.walk(ast.parse(text)):
                match node:
                    case ast.Call(func=ast.Name(id="spelt")):
                        where = f"{file.relative_to(paths.ROOT)}:{node.lineno}"
                        yield where, [word for one in node.args for word in words(one)]
                    case _:
                        pass


def words(node: ast.expr) -> list[str]:
    """What stands for an argument on the line."""
    match node:
        case ast.Constant(value=str(text)):
            return [text]
        case ast.Name(id=name):
            return [VALUES.get(name, "x")]
        case ast.Starred(value=ast.Subscript()):
            return ["x"]
        case ast.Starred(value=several):
            tuples = [one for one in ast.walk(several) if isinstance(one, ast.Tuple)]
            return [word for one in tuples[:1] for each in one.elts for word in words(each)]
        case _:
            return ["x"]


SPELLINGS = list(spellings())


def test_there_are_many() -> None:
    assert len(SPELLINGS) > 30
    assert {where.partition(":")[0] for where, _ in SPELLINGS} >= {
        "refundctl/choices.py",
        "refundctl/checks/queues.py",
        "refundctl/review.py",
        "deploying/questions.py",
    }


@pytest.mark.parametrize(("where", "line"), SPELLINGS)
def test_the_parser_takes_it(where: str, line: list[str]) -> None:
    require_parsed(line, f"{where}: {line}")


@pytest.mark.parametrize("value", ["-damaged", "--all", "-1", "torn in two"])
def test_the_parser_takes_a_value_that_looks_like_an_option(value: str) -> None:
    line = shlex.split(spelt("refund", "pr_1", "--all", *option("--reason", value)))
    require_parsed(line, str(line))
    assert parser().parse_args(line).reason == value


def test_no_other_text_names_a_command_of_ours() -> None:
    """Else a line is told that nothing has spelt: without path, stage or quotes."""
    files = {
        str(file.relative_to(paths.ROOT))
        for folder in ("refundctl", "deploying", "local")
        for file in sorted((paths.ROOT / folder).rglob("*.py"))
        for node in ast.walk(without_docstrings(ast.parse(file.read_text())))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and "refundctl " in node.value
    }
    # The version, and what completes words.
    assert files == {
        "refundctl/command.py",
        "refundctl/completion.py",
    }


def without_docstrings(module: ast.Module) -> ast.Module:
    for node in ast.walk(module):
        match node:
            case ast.Module() | ast.ClassDef() | ast.FunctionDef():
                node.body = [one for one in node.body if not _is_text(one)] or [ast.Pass()]
            case _:
                pass
    return module


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


@pytest.mark.parametrize(
    "line",
    [
        "Try: refundctl report rfd_1 --owed --reason ...",
        "refundctl handle rfd_1 --note x",
        "/a/refundctl lsit",
        "See refundctl dlq list.",
    ],
)
def test_a_line_that_cannot_be_pasted_is_caught(line: str) -> None:
    with pytest.raises(AssertionError):
        require_pastable(line, "")


def test_what_only_stands_for_a_reason_is_never_written_down(
    world: World, operator: Operator
) -> None:
    # Given a refund in review, and the line that is told of it
    world.processor.fates.append(RequestLost())
    refund = world.refund("k", amount=100).refund
    line = f"resolve {refund.id} --failed --reason '{WORDS}'"
    # When somebody pastes it as it is, it may be tried, and nothing is decided by it
    assert "Write your own words" not in operator(f"{line} --dry-run").err
    before = world.stored("k")
    ended = operator(f"{line} --yes")
    assert (ended.exit_code, world.stored("k")) == (Exit.MISUSED, before)
    assert "Write your own words" in ended.err


def test_a_list_may_be_filtered_by_what_only_stands_for_a_reason(operator: Operator) -> None:
    # Given a command that reads, and so has no --dry-run
    # Then nothing would be written down, and the filter is as good as another
    assert operator.json(f"list --reason '{WORDS}'") == []


def test_every_command_that_writes_words_down_can_be_tried_first() -> None:
    def options(of: argparse.ArgumentParser, name: str) -> Iterator[tuple[str, set[str]]]:
        yield name, {one for action in of._actions for one in action.option_strings}
        for action in of._actions:
            if isinstance(action, argparse._SubParsersAction):
                for word, each in action.choices.items():
                    yield from options(each, f"{name} {word}".strip())

    taking = {
        name: known for name, known in options(parser(), "") if known & {"--reason", "--note"}
    }
    assert {name for name, known in taking.items() if "--dry-run" not in known} == {"list"}
    assert len(taking) > 4
