"""Nothing that others wrote is obeyed by a terminal, unseen, or taken for a formula."""

import ast
import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import refundctl
from refundctl.output import Output, table_of, write_csv
from refundctl.plain_text import cell, is_unseen, json_text, one_line, seen
from tests.fakes.processor_fates import Answered, RequestLost
from tests.fakes.world import World
from tests.unit.refundctl.operator import Operator
from tests.unit.refundctl.queues import FakeSqs

# Everything that a terminal obeys or nobody sees, of each kind, in one text.
HOSTILE = (
    "\x1b]0;owned\x07\x1b[2K\x9b31m\r\n\u202e\u2066\u200b\ufeff\u2028\U000e0041=cmd|' /C calc'!A0"
)
FORMULA_SIGNS = "=+-@\uff1d\uff0b\uff0d\uff20"


def obeyed(text: str) -> list[str]:
    """What stands in an output and must not."""
    return [letter for letter in text if letter != "\n" and is_unseen(letter)]


class TestAText:
    """What becomes of one."""

    @pytest.mark.parametrize(
        ("text", "shown"),
        [
            ("plain\ttext\n", "plain\ttext\n"),
            ("日本語 é 👩‍👧", "日本語 é 👩‍👧"),
            ("gpj.\u202eexe", "gpj.[U+202E]exe"),
            ("a\x00b\x1b[2J", "a[U+0000]b[U+001B][2J"),
            ("\ufeff\u200b\u2066", "[U+FEFF][U+200B][U+2066]"),
        ],
    )
    def test_what_nobody_would_see_is_written_out(self, text: str, shown: str) -> None:
        assert seen(text) == shown

    @given(st.text(st.characters()))
    def test_of_one_line_nothing_is_left_to_obey(self, text: str) -> None:
        assert obeyed(one_line(text)) == []
        assert "\n" not in one_line(text)
        one_line(text).encode()  # no half of a pair is left either

    @given(st.dictionaries(st.text(st.characters()), st.text(st.characters())))
    def test_json_means_the_same(self, value: dict[str, str]) -> None:
        assert json.loads(json_text(value)) == json.loads(json.dumps(value))
        assert obeyed(json_text(value)) == []

    @pytest.mark.parametrize(
        ("value", "shown"),
        [
            ("=1+1", "'=1+1"),
            ("  @x", "'  @x"),
            ("\rx", "[U+000D]x"),
            ("\ufeff=1+1", "[U+FEFF]=1+1"),
            ("\u200d=1+1", "'\u200d=1+1"),
            ("\uff1d1", "'\uff1d1"),
            ("\uff201", "'\uff201"),
            ("\u3000-1", "'\u3000-1"),
            ("a; =1+1", "a;' =1+1"),
            (";;+1", ";;'+1"),
            (';"=1+1', ";'\"=1+1"),
            (';"" =1+1', ';\'"" =1+1'),
            ("plain", "plain"),
            ("", ""),
            (-5, -5),
            ("a=b", "a=b"),
            ("a-1;b", "a-1;b"),
        ],
    )
    def test_a_cell_is_no_formula(self, value: str | int, shown: str | int) -> None:
        assert cell(value) == shown

    @given(st.text(st.sampled_from(";\",=@ '") | st.characters()), st.sampled_from([",", ";"]))
    @example(';"=1', ";")
    def test_whichever_sign_separates_the_cells(self, text: str, separator: str) -> None:
        file = io.StringIO()
        rows = [(f"x;{text}", "end"), (text, "end"), ("x", f";{text}"), ("x", text)]
        write_csv(file, ("a", "b"), rows)
        for row in csv.reader(io.StringIO(file.getvalue()), delimiter=separator):
            for one in row:
                begins = one.lstrip(" \u200c\u200d\u3000\xa0")[:1]
                assert not begins or begins not in FORMULA_SIGNS


class TestEveryCommand:
    """Whatever a command writes goes through the one place that knows."""

    @given(text=st.text(st.characters()))
    def test_whatever_it_is_told_to_write(self, text: str) -> None:
        for as_json in (True, False):
            out, err = _written(text, as_json=as_json)
            assert obeyed(out) == obeyed(err) == []

    def test_no_command_writes_past_it(self) -> None:
        folder = Path(refundctl.__file__).parent
        found = [
            (file.name, name)
            for file in folder.rglob("*.py")
            if file.name not in ("output.py", "secret_file.py")  # which is read by nobody here
            if file.parent.name != "deciding"  # which knows no terminal, and writes to the ledger
            for name in _writing(ast.parse(file.read_text()))
        ]
        assert found == []

    @pytest.mark.parametrize(
        "line",
        [
            "print(text)",
            "file.write(text)",
            "csv.writer(file).writerow(row)",
            "csv.DictWriter(file, columns).writerows(rows)",
            "from rich.console import Console",
            "import rich.console",
        ],
    )
    def test_whatever_writes_past_it_is_seen(self, line: str) -> None:
        assert list(_writing(ast.parse(line)))

    @pytest.mark.parametrize(
        "line",
        [
            "list",
            "show {id}",
            "review",
            "review {id}",
            "export --since 7d",
            "reconcile --since 7d",
            "dlq list",
        ],
    )
    @pytest.mark.parametrize("form", ["", " --json"])
    def test_of_a_hostile_caller_and_a_hostile_processor(
        self, line: str, form: str, world: World, operator: Operator
    ) -> None:
        refund_id = _hostile(world, operator)
        ended = operator(line.format(id=refund_id) + form)
        assert ended.out + ended.err
        assert obeyed(ended.out + ended.err) == []


def _written(text: str, *, as_json: bool) -> tuple[str, str]:
    """What an output of each kind writes for a text."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("sys.stdout", out)
        patched.setattr("sys.stderr", err)
        output = Output(as_json=as_json)
        output.say(text)
        output.result(text, {text: text})
        output.table(("a", "b"), [(text, "b")], [text], empty=text)
        output.table(("a", "b"), [], [text], empty=text)
        output.page([text, table_of(("a",), [(text,)], text)], text)
        output.csv(("a",), [(text,)], [text])
        output.confirm(text)
    return out.getvalue(), err.getvalue()


def _writing(tree: ast.AST) -> Iterator[str]:
    """What writes to a terminal in a module, or imports what does."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id="print" as name)):
                yield name
            case ast.Attribute(attr="write" | "writelines" | "writerow" | "writerows" as name):
                yield name
            case ast.ImportFrom(module=module) if module and module.startswith("rich"):
                yield from (one.name for one in node.names if one.name != "Table")
            case ast.Import(names=names):
                yield from (one.name for one in names if one.name.startswith("rich"))


def _hostile(world: World, operator: Operator) -> str:
    """Refunds in which everything that others write is hostile; returns one that needs a person."""
    world.pay("evil")
    world.refund("a", amount=100, reason=HOSTILE, metadata={HOSTILE[:40]: HOSTILE})
    world.processor.fates.append(Answered(403, HOSTILE))
    world.refund("b", amount=200, reason=HOSTILE)
    world.processor.fates.append(RequestLost())
    lost = world.refund("c", record="pr_evil", amount=400, reason=HOSTILE).refund
    world.in_dashboard(300, "evil")
    sqs = FakeSqs(now_ms=world.clock.now_ms())
    operator.clients["sqs"] = sqs
    sqs.put("request-dead", HOSTILE, reason_code=HOSTILE, reason=HOSTILE, fields=HOSTILE)
    sqs.put("report-dead", HOSTILE)
    sqs.put("event-dead", HOSTILE, ERROR_CODE=HOSTILE, ERROR_MESSAGE=HOSTILE)
    return lost.id
