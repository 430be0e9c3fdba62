"""What a command tells somebody to do can be pasted: it is for the same deployment."""

from collections.abc import Callable
from pathlib import Path

import pytest

from refundctl.command import parser
from refundctl.options import Call
from refundctl.output import Output
from refundctl.target import Target
from tests.unit.refundctl.operator import TargetInMemory


@pytest.fixture
def call() -> Callable[[str], Call]:
    """A call as somebody wrote it."""
    target: Target = TargetInMemory({})
    return lambda line: Call(parser().parse_args(line.split()), target, Output(as_json=False))


@pytest.mark.parametrize(
    ("asked", "where"),
    [
        ("list", ""),
        ("list --local", ""),
        ("list --stage local", ""),
        ("list --stage production", " --stage production"),
        (f"doctor --stack-file {Path('/a/stack.json')}", " --stack-file /a/stack.json"),
    ],
)
def test_a_line_is_for_the_same_deployment(
    call: Callable[[str], Call], asked: str, where: str
) -> None:
    assert call(asked).line("dlq list --queue reports") == (
        f"refundctl dlq list --queue reports{where}"
    )


def test_a_file_whose_name_has_a_blank_is_quoted(call: Callable[[str], Call]) -> None:
    asked = call("list --stack-file x")
    asked.arguments.stack_file = Path("/a file.json")
    assert asked.line("review") == "refundctl review --stack-file '/a file.json'"
