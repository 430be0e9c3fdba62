"""A key names one refund: another wish under it is refused, and never told as refunded."""

import getpass
from pathlib import Path

import pytest

from refundctl.exits import Exit
from tests.fakes.service import InProcess
from tests.fakes.world import World
from tests.unit.refundctl.bulk import checked, line_of, paid, result_file, results
from tests.unit.refundctl.operator import Operator


@pytest.fixture(autouse=True)
def kim(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whose machine it is; one refund at a time, so that tests know which comes first."""
    monkeypatch.setattr(getpass, "getuser", lambda: "kim")
    monkeypatch.setattr("refundctl.refunding.sending.THREADS", 1)


OTHERS = {
    "payment": "pr_b0,1.00,sgd,torn,order-1",
    "everything of another payment": "pr_b0,all,,torn,order-1",
    "reason": "pr_1,1.00,sgd,other,order-1",
    "amount": "pr_1,2.00,sgd,torn,order-1",
}


@pytest.mark.parametrize("row", OTHERS.values(), ids=OTHERS)
def test_a_row_is_not_refunded_because_another_refund_has_its_key(
    world: World, operator: Operator, service: InProcess, file: Path, row: str
) -> None:
    # Given a refund under a key, and a row of the same key that wishes something else
    operator("refund pr_1 --amount 1.00 --reason torn --key order-1 --yes")
    file.write_text(f"payment,amount,currency,reason,key\n{row}\n")
    # When it is tried, and when it is sent
    assert operator(line_of(file, "--dry-run")).exit_code == Exit.REFUSED
    operator(line_of(file))
    # Then both say that its key is another refund's, name no refund of it, and nothing moved
    (tried,), (told,) = checked(file), results(file)
    for one in (tried, told):
        assert (one["result"], one["code"]) == ("refused", "idempotency_key_reused")
    assert told["refund"] == ""
    assert paid(world) == [100]


def test_a_row_whose_very_refund_has_its_key_is_told_by_it_and_not_asked_for(
    world: World, operator: Operator, service: InProcess, file: Path
) -> None:
    operator("refund pr_1 --amount 1.00 --reason torn --key order-1 --yes")
    asked = len(service.asked)
    file.write_text("payment,amount,currency,reason,key\npr_1,1.00,sgd,torn,order-1\n")
    told = operator.json(line_of(file))
    assert (told["results"]["refunded"], told["replayed"]) == (1, 1)
    operator.done(line_of(file, "--dry-run"))
    (tried,) = checked(file)
    assert (tried["result"], tried["status"]) == ("refunded", "succeeded")
    assert len(service.asked) == asked


@pytest.mark.parametrize("option", ["--yes", "--dry-run", "--yes --json"])
def test_one_refund_under_the_key_of_another_is_refused_before_it_is_sent(
    world: World, operator: Operator, service: InProcess, option: str
) -> None:
    world.pay("2")
    other = world.refund("order-1", record="pr_2", amount=100).refund
    ended = operator(f"refund pr_1 --amount 50.00 --key order-1 {option}")
    assert (ended.exit_code, service.asked) == (Exit.REFUSED, [])
    assert f"This key names another refund, {other.id}: SGD 1.00 of pr_2" in ended.err
    if "--json" in option:
        assert (ended.value["result"], ended.value["code"]) == (None, "idempotency_key_reused")


def test_who_takes_the_key_while_it_is_sent_leaves_ours_refused(
    world: World, operator: Operator, service: InProcess
) -> None:
    world.pay("2")
    service.mishaps = [lambda: world.refund("order-1", record="pr_2", amount=100)]
    ended = operator("refund pr_1 --amount 50.00 --key order-1 --yes --json")
    assert ended.exit_code == Exit.REFUSED
    assert (ended.value["result"], ended.value["code"]) == ("refused", "idempotency_key_reused")
    assert ended.value["refund"] is None
    assert paid(world) == [100]


def test_the_same_refund_again_is_told_as_a_replay(operator: Operator, service: InProcess) -> None:
    line = "refund pr_1 --amount 5.00 --yes"
    assert operator(f"{line} --json").value["replayed"] is False
    again = operator(f"{line} --json").value
    assert (again["result"], again["replayed"]) == ("refunded", True)


@pytest.mark.parametrize("order", [1, -1], ids=["key first", "key last"])
def test_equal_rows_of_which_one_has_a_key_are_refused(
    world: World, operator: Operator, service: InProcess, file: Path, order: int
) -> None:
    rows = ["pr_b0,1.00,sgd,o-1\n", "pr_b0,1.00,sgd,\n"][::order]
    file.write_text("payment,amount,currency,key\n" + "".join(rows))
    ended = operator(line_of(file))
    assert (ended.exit_code, paid(world)) == (Exit.REFUSED, [])
    assert "lines 2 and 3 are equal" in ended.err
    operator.done(line_of(file, "--allow-equal-rows"))
    assert paid(world) == [100, 100]


def test_other_rows_under_a_known_name_are_not_sent_because_nobody_is_asked(
    world: World, operator: Operator, service: InProcess, file: Path
) -> None:
    # Given a batch that was paid, and an amount that somebody edits
    operator.done(line_of(file))
    before = result_file(file).read_text()
    file.write_text(file.read_text().replace("1.00", "1.50"))
    # When it runs again with nobody there
    ended = operator(line_of(file))
    # Then nothing is sent, and the option that lets it be sent is named
    assert (ended.exit_code, paid(world)) == (Exit.REFUSED, [100, 200, 300, 400])
    assert "1 new, 0 changed, 1 missing" in ended.err
    assert "say --changed beside --yes" in ended.err
    assert result_file(file).read_text() == before
    operator.done(line_of(file, "--changed"))
    assert paid(world) == [100, 150, 200, 300, 400]
