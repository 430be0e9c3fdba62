"""Whoever refunds reads before and after at which stage, and whether the money is real."""

from pathlib import Path

import pytest

from refund_bridge.config import Mode
from refundctl.exits import Exit
from refundctl.output import Output
from refundctl.refunding.service import ServiceAnswer
from tests.fakes.service import InProcess
from tests.fakes.world import STAGE
from tests.unit.refundctl.bulk import line_of
from tests.unit.refundctl.operator import Operator

LIVE = f"{STAGE} (live)"
NO_ANSWER = ServiceAnswer(0, {"error": {"code": "no_answer", "message": "no whole answer"}})


@pytest.fixture
def live(operator: Operator, service: InProcess) -> Operator:
    """Somebody in front of a stage whose money is real."""
    operator.mode = Mode.LIVE
    return operator


@pytest.fixture
def questions(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What somebody was asked who said no."""
    asked: list[str] = []

    def refuse(_output: Output, question: str) -> bool:
        asked.append(question)
        return False

    monkeypatch.setattr(Output, "confirm", refuse)
    return asked


class TestOne:
    def test_the_facts_and_the_question_name_it(self, live: Operator, questions: list[str]) -> None:
        ended = live("refund pr_1 --amount 1.00")
        (facts,) = [line for line in ended.err.splitlines() if line.startswith("deployment")]
        assert LIVE in facts
        assert questions == [f"Refund this at {LIVE}?"]

    def test_a_test_stage_is_said_to_be_one(
        self, operator: Operator, service: InProcess, questions: list[str]
    ) -> None:
        operator("refund pr_1 --amount 1.00")
        assert questions == [f"Refund this at {STAGE} (test)?"]

    def test_the_result_names_it_to_people_and_to_machines(self, live: Operator) -> None:
        assert LIVE in live("refund pr_1 --amount 1.00 --yes").out
        told = live("refund pr_1 --amount 2.00 --yes --json").value
        assert (told["stage"], told["mode"]) == (STAGE, "live")

    def test_what_was_only_tried_names_it(self, live: Operator) -> None:
        assert LIVE in live("refund pr_1 --amount 1.00 --dry-run").out
        told = live.json("refund pr_1 --amount 1.00 --dry-run")
        assert (told["stage"], told["mode"]) == (STAGE, "live")

    @pytest.mark.parametrize(
        "answer",
        [
            NO_ANSWER,
            ServiceAnswer(400, {"error": {"code": "payment_not_refundable", "message": "No."}}),
        ],
    )
    def test_what_was_refused_and_what_is_not_known_names_it(
        self, live: Operator, service: InProcess, answer: ServiceAnswer
    ) -> None:
        service.mishaps = [answer] * 99
        ended = live("refund pr_1 --amount 1.00 --yes --patience 4")
        assert ended.exit_code in (Exit.REFUSED, Exit.UNREACHABLE)
        assert LIVE in ended.out


class TestMany:
    def test_the_sums_and_the_question_name_it(
        self, live: Operator, file: Path, questions: list[str]
    ) -> None:
        ended = live(line_of(file, yes=""))
        (sums,) = [line for line in ended.err.splitlines() if "refunds, " in line]
        assert LIVE in sums
        assert questions == [f"Refund these at {LIVE}?"]

    def test_so_does_the_question_about_other_rows(
        self, live: Operator, file: Path, questions: list[str]
    ) -> None:
        live(line_of(file))
        file.write_text(file.read_text().replace("1.00", "1.50"))
        live(line_of(file, yes=""))
        assert all(f"at {LIVE}" in one for one in questions)
        assert len(questions) == 1

    @pytest.mark.parametrize("option", ["", "--dry-run"])
    def test_the_result_names_it_to_people_and_to_machines(
        self, live: Operator, file: Path, option: str
    ) -> None:
        assert LIVE in live(line_of(file, option)).out
        told = live(line_of(file, f"{option} --json")).value
        assert (told["stage"], told["mode"]) == (STAGE, "live")
