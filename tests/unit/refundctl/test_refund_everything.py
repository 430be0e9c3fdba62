"""Everything that is left is the amount that was shown and agreed to, and never more."""

import getpass
from pathlib import Path

import pytest

from refund_bridge.settling.settling import AfterHold
from refundctl.exits import Exit
from tests.fakes.processor_fates import RequestLost
from tests.fakes.service import InProcess
from tests.fakes.world import World
from tests.unit.refundctl.bulk import line_of, paid, results
from tests.unit.refundctl.operator import Operator

ROWS = "payment,amount,currency,reason\n"


@pytest.fixture(autouse=True)
def kim(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whose machine it is; one refund at a time, so that tests know which comes first."""
    monkeypatch.setattr(getpass, "getuser", lambda: "kim")
    monkeypatch.setattr("refundctl.refunding.sending.THREADS", 1)


@pytest.fixture
def world() -> World:
    """One payment of SGD 99.99, where what is not found is given back when its time is over."""
    made = World(after_hold=AfterHold.FAILED)
    made.pay()
    return made


@pytest.fixture
def theirs(world: World, operator: Operator, service: InProcess) -> str:
    """A colleague's SGD 49.99 whose outcome nobody knows; it fails while ours waits for it."""
    world.processor.fates.append(RequestLost())
    refund = world.refund("theirs", amount=4999).refund
    operator.sleep = lambda _: world.live_for(30 * 60_000)
    return refund.id


def test_what_is_given_back_meanwhile_is_not_refunded_with_what_was_shown(
    world: World, operator: Operator, service: InProcess, theirs: str
) -> None:
    ended = operator("refund pr_1 --all --patience 3600 --yes --json")
    assert world.ledger.refunds[theirs].public_status == "failed"
    assert "SGD 50.00" in ended.err
    assert ended.value["amount"] == 5000
    assert paid(world) == [5000]


def test_a_row_of_everything_refunds_what_was_shown_and_stays_that_refund(
    world: World, operator: Operator, service: InProcess, theirs: str, tmp_path: Path
) -> None:
    file = tmp_path / "march.csv"
    file.write_text(ROWS + "pr_1,all,,\n")
    ended = operator.done(line_of(file, "--patience 3600"))
    assert world.ledger.refunds[theirs].public_status == "failed"
    assert "1 refunds, SGD 50.00, with everything that is left of 1 (SGD 50.00)" in ended.err
    assert paid(world) == [5000]
    # And again it is that refund, though now SGD 49.99 are left
    told = operator.json(line_of(file))
    assert (told["results"]["refunded"], told["replayed"]) == (1, 1)
    assert paid(world) == [5000]


def test_a_row_of_everything_that_was_made_while_it_was_read_is_told_by_its_refund(
    world: World, operator: Operator, service: InProcess, tmp_path: Path
) -> None:
    # Given the same line of a colleague, which ends after ours has read what is left
    file = tmp_path / "march.csv"
    file.write_text(ROWS + "pr_1,all,,\n")
    colleague = Operator(world, operator.capsys, batches=operator.batches)
    colleague.service = InProcess(world)
    theirs = file.with_name("theirs.csv")

    def first() -> None:
        world.refund("other", amount=999)
        colleague.done(line_of(file, f"--result {theirs}"))

    service.mishaps = [first]
    operator.done(line_of(file))
    assert paid(world) == [999, 9000]
    (told,) = results(file)
    assert (told["result"], told["refund"] in world.ledger.refunds) == ("refunded", True)


def test_rows_before_are_taken_from_everything_that_is_left(
    world: World, operator: Operator, service: InProcess, tmp_path: Path
) -> None:
    file = tmp_path / "march.csv"
    file.write_text(ROWS + "pr_1,10.00,sgd,\npr_1,all,,\n")
    operator.done(line_of(file))
    assert paid(world) == [1000, 8999]


def test_rows_that_are_made_are_not_taken_off_once_more(
    world: World, operator: Operator, service: InProcess, tmp_path: Path
) -> None:
    file = tmp_path / "march.csv"
    file.write_text(ROWS + "pr_1,10.00,sgd,\n")
    operator.done(line_of(file))
    file.write_text(file.read_text() + "pr_1,all,,\n")
    operator.done(line_of(file, "--changed"))
    assert paid(world) == [1000, 8999]


def test_a_row_of_everything_whose_payment_cannot_be_read_is_not_sent(
    world: World, operator: Operator, service: InProcess, tmp_path: Path
) -> None:
    world.pay("2")
    world.refund("all of it", record="pr_2", amount=9999)
    file = tmp_path / "march.csv"
    file.write_text(ROWS + "pr_1,all,,\npr_2,all,,\npr_elsewhere,all,,\n")
    ended = operator(line_of(file))
    assert "Of these 2 cannot be sent; the result file says why." in ended.err
    assert [(one["result"], one["code"]) for one in results(file)] == [
        ("refunded", ""),
        ("refused", "payment_not_refundable"),
        ("refused", "payment_not_found"),
    ]
    assert len(service.asked) == 1


def test_a_row_of_everything_is_not_shown_as_the_refund_of_another_payment_with_its_key(
    world: World, operator: Operator, service: InProcess, tmp_path: Path
) -> None:
    world.pay("2")
    world.refund("o-1", record="pr_2", amount=100)
    file = tmp_path / "march.csv"
    file.write_text("payment,amount,key\npr_1,all,o-1\n")
    ended = operator(line_of(file))
    assert "SGD 1.00" not in ended.err
    assert (service.asked, paid(world)) == ([], [100])
    (told,) = results(file)
    assert (told["result"], told["code"]) == ("refused", "idempotency_key_reused")


def test_everything_again_under_its_own_key_is_the_same_refund_while_nothing_is_left(
    world: World, operator: Operator, service: InProcess
) -> None:
    operator("refund pr_1 --all --key order-7 --yes")
    again = operator("refund pr_1 --all --key order-7 --yes --json").value
    assert (again["result"], again["replayed"], again["amount"]) == ("refunded", True, 9999)
    assert paid(world) == [9999]


def test_everything_under_the_key_of_a_part_is_refused_while_something_is_left(
    world: World, operator: Operator, service: InProcess
) -> None:
    world.refund("order-7", amount=100, currency="sgd")
    ended = operator("refund pr_1 --all --key order-7 --yes")
    assert (ended.exit_code, service.asked) == (Exit.REFUSED, [])
    assert "This key names another refund" in ended.err


def test_what_is_in_flight_is_shown_beside_what_is_left(
    world: World, operator: Operator, service: InProcess
) -> None:
    world.refund("made", amount=1000)
    world.processor.fates.append(RequestLost())
    world.refund("under way", amount=4999)
    ended = operator("refund pr_1 --amount 1.00 --dry-run --json")
    facts = [" ".join(line.split()) for line in ended.err.splitlines()]
    for fact in ("refunded SGD 10.00", "in flight SGD 49.99", "left SGD 40.00"):
        assert fact in facts
    told = ended.value
    assert (told["refunded_before"], told["in_flight_before"], told["refundable_before"]) == (
        1000,
        4999,
        4000,
    )
