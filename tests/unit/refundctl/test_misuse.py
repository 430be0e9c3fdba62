"""A line that cannot be meant is refused with its usage, before anybody is asked."""

import pytest

from refundctl.exits import Exit
from tests.unit.refundctl.operator import Operator


@pytest.mark.parametrize(
    "line",
    [
        "dlq",
        "dlq replay",
        "dlq replay --all --id x",
        "dlq replay --all --rate 0",
        "dlq replay --all --rate 501",
        "dlq replay --all --queue events",
        "dlq list --queue nothing",
        "export",
        "export --since x",
        "events",
        "events republish",
        "list --limit 0",
        "list --limit x",
        "list --since yesterday",
        "list --since 2024-02-29T10:00:00",
        "list --status unknown",
        "list --report lost",
        "list --credit-note lost",
        "list --payment a --invoice b",
        "reconcile",
        "reconcile --since x",
        "reconcile --since 7d --rate 21",
        "reconcile --since 7d --grace x",
        "resolve rfd_x",
        "resolve rfd_x --failed --succeeded m",
        "resolve --failed",
        "resolve rfd_x --failed --reason ' '",
        "resolve rfd_x --failed --reason 'two\nlines'",
        "resolve rfd_x --failed --reason " + "x" * 301,
        "resolve rfd_x --failed --reason x --as 'not a name'",
        "withdraw rfd_x",
        "withdraw --reason x",
    ],
)
def test_a_line_that_cannot_be_meant(operator: Operator, line: str) -> None:
    with pytest.raises(SystemExit) as ended:
        operator(line)
    assert ended.value.code == Exit.MISUSED
