"""A refund is looked up again at the desk: the interface is asked, as any caller would ask it."""

from typing import Any

import pytest

from refund_bridge.domain.refund import Refund
from refund_bridge.refunding.recent_looks import LOOK_AGAIN_AFTER_MS
from refundctl.exits import Exit
from refundctl.options import KEY_NAME
from refundctl.refunding.service import NoKeyError, ServiceAnswer
from tests.fakes.processor_fates import ReplyLost
from tests.fakes.service import InProcess
from tests.fakes.world import World
from tests.unit.refundctl.operator import Operator


@pytest.fixture
def unknown(world: World) -> Refund:
    """A refund that was executed, and its answer lost."""
    world.processor.fates.append(ReplyLost())
    refund = world.refund("order-7", amount=2500).refund
    world.clock.advance(60_000)
    return refund


@pytest.fixture
def service(world: World, operator: Operator) -> InProcess:
    operator.service = InProcess(world)
    return operator.service


def test_what_the_look_found_is_shown_and_kept(
    world: World, operator: Operator, service: InProcess, unknown: Refund
) -> None:
    ended = operator.done(f"sync {unknown.id}")
    assert service.asked == [unknown.id]
    assert "hitpay was asked." in ended.err
    assert "succeeded, was unknown" in ended.out
    assert world.stored("order-7").processor_refund_id in ended.out.split()


@pytest.mark.parametrize("name", ["order-7", "pr_1", "charge-1"])
def test_any_name_that_leads_to_one_refund_will_do(
    operator: Operator, service: InProcess, unknown: Refund, name: str
) -> None:
    assert operator.json(f"sync {name}")["id"] == unknown.id
    assert service.asked == [unknown.id]


def test_for_machines_it_is_the_refund_as_show_gives_it(
    operator: Operator, service: InProcess, unknown: Refund
) -> None:
    told = operator.json(f"sync {unknown.id}")
    assert told == operator.json(f"show {unknown.id}")
    assert (told["status"], told["ledger"]["state"]) == ("succeeded", "succeeded")


def test_where_nothing_was_asked_it_says_why(
    world: World, operator: Operator, service: InProcess, unknown: Refund
) -> None:
    # Given a processor that does not answer
    world.processor.is_down = True
    ended = operator.done(f"sync {unknown.id}")
    # Then it stays as it is, and the way on is told
    assert "unknown" in ended.out
    assert f"refundctl sync {unknown.id}" in ended.out
    # And it is asked again only after a while
    world.clock.advance(LOOK_AGAIN_AFTER_MS - 1)
    assert "less than 10 s ago" in operator.done(f"sync {unknown.id}").err
    world.processor.is_down = False
    world.clock.advance(1)
    operator.done(f"sync {unknown.id}")
    # And not at all when it has ended
    assert "it has ended" in operator.done(f"sync {unknown.id}").err


def test_several_are_named_each_with_its_line(
    world: World, operator: Operator, service: InProcess
) -> None:
    made = [world.refund(key, amount=100).refund.id for key in ("a", "b")]
    ended = operator("sync pr_1")
    assert ended.exit_code == Exit.REFUSED
    assert all(f"refundctl sync {one}" in ended.err for one in made)
    assert service.asked == []


@pytest.mark.parametrize(
    ("status", "exit_code"),
    [
        (0, Exit.UNREACHABLE),
        (401, Exit.UNREACHABLE),
        (403, Exit.UNREACHABLE),
        (404, Exit.REFUSED),
        (429, Exit.UNREACHABLE),
        (503, Exit.UNREACHABLE),
    ],
)
def test_what_the_interface_answers_instead_ends_it(
    operator: Operator, service: InProcess, unknown: Refund, status: int, exit_code: Exit
) -> None:
    service.mishaps = [ServiceAnswer(status, {"error": {"code": "some", "message": "No."}})]
    ended = operator(f"sync {unknown.id}")
    assert (ended.exit_code, ended.out) == (exit_code, "")
    assert "No." in ended.err


def test_nobody_without_a_key_is_left_without_a_way_to_one(
    operator: Operator, unknown: Refund, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_key(*_: Any) -> Any:
        raise NoKeyError("Your own key is needed.")

    monkeypatch.setattr(operator, "_reach", no_key)
    ended = operator(f"sync {unknown.id} --stage production")
    assert ended.exit_code == Exit.MISUSED
    line = f"refundctl keys create {KEY_NAME} --output {KEY_NAME}.key --stage production"
    assert ended.err.rstrip().endswith(line)


def test_nothing_of_that_name_is_said(operator: Operator, service: InProcess) -> None:
    ended = operator("sync rfd_nothing")
    assert ended.exit_code == Exit.REFUSED
    assert "There is no refund rfd_nothing." in ended.err
