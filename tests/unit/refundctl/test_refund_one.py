"""One refund is started at the desk: shown, agreed to, sent once, and followed to its end."""

from collections.abc import Mapping
from typing import Any

import pytest

from refund_bridge.domain.refund import refund_id_of
from refund_bridge.domain.state_machine import ReportState
from refundctl.exits import Exit
from refundctl.output import Output
from refundctl.refunding.service import ServiceAnswer
from tests.fakes.processor_fates import Answered, RequestLost
from tests.fakes.service import InProcess
from tests.fakes.world import STAGE, STEP_MS, World
from tests.unit.refundctl.operator import Operator

NO_ANSWER = ServiceAnswer(0, {"error": {"code": "no_answer", "message": "no whole answer"}})


@pytest.fixture
def service(world: World, operator: Operator) -> InProcess:
    """The interface, and a time in which reports are made."""
    service = InProcess(world)
    operator.service = service

    def time_passes(_seconds: float) -> None:
        world.clock.advance(STEP_MS)
        for refund in list(world.ledger.refunds.values()):
            if refund.report.state is ReportState.DUE:
                world.report(refund.id)

    operator.sleep = time_passes
    return service


def test_it_shows_what_is_left_and_follows_until_stripe_knows(
    world: World, operator: Operator, service: InProcess
) -> None:
    ended = operator.done("refund pr_1 --amount 25.00 --reason duplicate --yes --json")
    (key,) = service.asked
    for fact in ("SGD 99.99", "SGD 25.00", "SGD 74.99", key):
        assert fact in ended.err
    told = ended.value
    assert (told["result"], told["amount"], told["idempotency_key"]) == ("refunded", 2500, key)
    assert (told["captured"], told["refunded_before"]) == (9999, 0)
    refund = world.ledger.refunds[refund_id_of(key, STAGE)]
    assert refund.report.state is ReportState.REPORTED
    assert (refund.amount, refund.request.reason) == (2500, "duplicate")


def test_the_same_line_again_makes_no_second_refund(
    world: World, operator: Operator, service: InProcess
) -> None:
    line = "refund pr_1 --amount 99.99 --yes"
    operator.done(line)
    ended = operator.done(line)
    assert "was asked for before (succeeded): it is not made twice" in ended.err
    assert len(world.ledger.refunds) == 1
    assert len(set(service.asked)) == 1


def test_everything_that_is_left(world: World, operator: Operator, service: InProcess) -> None:
    world.refund("before", amount=9000)
    told = operator.json("refund pr_1 --all --key order-7 --yes")
    assert (told["amount"], told["refundable_before"]) == (999, 999)
    assert told["refund"]["idempotency_key"] == "order-7"


def test_nothing_is_sent_unless_somebody_agrees(
    world: World, operator: Operator, service: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert operator("refund pr_1 --all").exit_code == Exit.REFUSED
    assert operator.json("refund pr_1 --all --dry-run")["result"] is None
    assert service.asked == []
    monkeypatch.setattr(Output, "confirm", lambda *_: True)
    assert operator.json("refund pr_1 --all")["result"] == "refunded"


@pytest.mark.parametrize(
    "line",
    [
        "pr_1",
        "pr_1 --all --amount 1.00",
        "pr_1 --amount 1.000,50",
        "pr_1 --amount 1",
        "pr_1 --amount -1.00",
        "ch_1 --all",
        "pr_1 --all --key ' x'",
        "--all",
        "pr_1 --all --from x.csv",
    ],
)
def test_a_line_that_can_be_misread_is_refused(
    operator: Operator, service: InProcess, line: str
) -> None:
    if line == "pr_1 --amount 1":
        assert operator.json(f"refund {line} --yes")["amount"] == 100
        return
    assert operator(f"refund {line} --yes").exit_code == Exit.MISUSED
    assert service.asked == []


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("pr_nobody --all", "No such payment_record"),
        ("pr_1 --amount 100.00", "SGD 99.99 that are left"),
        ("pr_1 --all --currency jpy", "jpy"),
    ],
)
def test_what_cannot_be_refunded_is_said_before_it_is_sent(
    operator: Operator, service: InProcess, line: str, said: str
) -> None:
    ended = operator(f"refund {line} --yes")
    assert ended.exit_code == Exit.REFUSED
    assert said in ended.err
    assert service.asked == []


def test_a_lost_answer_is_asked_for_again_under_the_same_key(
    world: World, operator: Operator, service: InProcess
) -> None:
    service.mishaps = [NO_ANSWER, lambda: world.refund("busy", amount=1), NO_ANSWER]
    told = operator.json("refund pr_1 --amount 1.00 --yes")
    assert told["result"] == "refunded"
    assert len(set(service.asked)) == 1
    assert len(service.asked) > 1


def test_when_nobody_answers_the_key_is_told_to_go_on_with(
    operator: Operator, service: InProcess
) -> None:
    service.mishaps = [NO_ANSWER] * 99
    ended = operator("refund pr_1 --all --yes --patience 10 --json")
    assert ended.exit_code == Exit.UNREACHABLE
    assert (ended.value["result"], ended.value["code"]) == ("unknown", "no_answer")
    assert ended.value["idempotency_key"] in ended.err


def test_what_the_processor_refuses_and_what_waits_ends_with_1(
    world: World, operator: Operator, service: InProcess
) -> None:
    world.processor.fates.append(Answered(422, "Refund window exceeded"))
    ended = operator("refund pr_1 --amount 1.00 --yes --json")
    assert (ended.exit_code, ended.value["result"]) == (Exit.REFUSED, "refused")
    assert "Refund window exceeded" in ended.value["message"]
    world.processor.fates.append(RequestLost())
    ended = operator("refund pr_1 --amount 2.00 --yes --wait 3 --json")
    assert (ended.exit_code, ended.value["result"]) == (Exit.REFUSED, "pending")


def test_a_key_that_is_refused_is_said(operator: Operator, service: InProcess) -> None:
    service.mishaps = [ServiceAnswer(401, {"error": {"code": "unauthorized", "message": "No."}})]
    ended = operator("refund pr_1 --all --yes")
    assert ended.exit_code == Exit.UNREACHABLE
    assert "refuses the key: No." in ended.err


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("phase", ["reading", "question"])
def test_stopped_before_it_is_sent_it_says_that_nothing_was(
    world: World,
    operator: Operator,
    service: InProcess,
    monkeypatch: pytest.MonkeyPatch,
    *,
    phase: str,
) -> None:
    if phase == "reading":
        monkeypatch.setattr(world.ledger, "refund", interrupt)
    else:
        monkeypatch.setattr(Output, "confirm", interrupt)
    ended = operator("refund pr_1 --amount 1.00")
    assert (ended.exit_code, service.asked) == (Exit.STOPPED, [])
    assert ended.err.endswith("This run has sent nothing.\nStopped.\n")


@pytest.mark.parametrize("is_made", [True, False], ids=["made", "not made"])
def test_stopped_while_it_is_sent_it_tells_the_line_that_finds_out_and_makes_it_once(
    world: World,
    operator: Operator,
    service: InProcess,
    monkeypatch: pytest.MonkeyPatch,
    *,
    is_made: bool,
) -> None:
    # Given somebody who waits for no answer, and a reason that a shell would split
    answers = service.create

    def torn(key: str, body: Mapping[str, Any]) -> ServiceAnswer:
        if is_made:
            answers(key, body)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(service, "create", torn)
        ended = operator("refund pr_1 --amount 25.00 --reason 'torn in two' --yes")
    assert ended.exit_code == Exit.STOPPED
    assert "Stopped while it was sent: it is not known whether it was made." in ended.err
    assert len(world.ledger.refunds) == is_made
    # When the line that it tells is pasted
    (again,) = (one for one in ended.err.splitlines() if "with the same key" in one)
    _, _, pasted = again.partition("refundctl ")
    operator.done(f"{pasted} --yes")
    # Then it is made once
    (refund,) = world.ledger.refunds.values()
    assert (refund.amount, refund.request.reason) == (2500, "torn in two")


def test_stopped_while_it_is_followed_it_says_that_it_goes_on(
    world: World, operator: Operator, service: InProcess
) -> None:
    world.processor.fates.append(RequestLost())
    operator.sleep = interrupt
    ended = operator("refund pr_1 --amount 1.00 --yes")
    (refund_id,) = world.ledger.refunds
    assert ended.exit_code == Exit.STOPPED
    assert "It was asked for, and goes on by itself: pending. See " in ended.err
    assert f" show {refund_id}\n" in ended.err
