"""A file of refunds is paid exactly once, whatever happens to the file, to the run or to others."""

import csv
import getpass
from collections.abc import Callable
from pathlib import Path

import pytest

from refundctl.exits import Exit
from refundctl.refunding.service import ServiceAnswer
from refunds.errors import StripeUnavailableError
from tests.fakes.processor_fates import Answered, NotSent, RequestLost
from tests.fakes.service import InProcess
from tests.fakes.world import STEP_MS, World
from tests.unit.refundctl.operator import Operator

NO_ANSWER = ServiceAnswer(0, {"error": {"code": "no_answer", "message": "no whole answer"}})
HEADER = "payment,amount,currency,reason\n"


def stopped() -> None:
    raise KeyboardInterrupt


@pytest.fixture(autouse=True)
def kim(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whose machine it is; one refund at a time, so that tests know which comes first."""
    monkeypatch.setattr(getpass, "getuser", lambda: "kim")
    monkeypatch.setattr("refundctl.refunding.sending.THREADS", 1)


@pytest.fixture
def service(world: World, operator: Operator) -> InProcess:
    service = InProcess(world)
    operator.service = service
    operator.sleep = lambda _: world.clock.advance(STEP_MS)
    return service


@pytest.fixture
def file(world: World, tmp_path: Path) -> Path:
    """Four payments, and a file that refunds a part of each."""
    for number in range(4):
        world.pay(f"b{number}")
    rows = [f"pr_b{number},{number + 1}.00,sgd,torn" for number in range(4)]
    path = tmp_path / "march.csv"
    path.write_text(HEADER + "\n".join(rows) + "\n")
    return path


def turned(text: str) -> str:
    """The rows from the last to the first."""
    head, *rows = text.splitlines()
    return "\n".join([head, *reversed(rows)]) + "\n"


def line_of(file: Path, more: str = "") -> str:
    return f"refund --from {file} --batch march --rate 20 --yes {more}"


def results(file: Path) -> list[dict[str, str]]:
    with file.with_name("march.result.csv").open(newline="") as lines:
        return list(csv.DictReader(lines))


def paid(world: World) -> list[int]:
    """What the processor really moved, sorted."""
    moved = [one.movement.money.amount for one in world.processor.books.refunds.values()]
    return sorted(moved)


def test_every_row_is_refunded_once_and_accounted_for(
    world: World, operator: Operator, service: InProcess, file: Path
) -> None:
    ended = operator.done(line_of(file, "--json"))
    assert ended.value["results"] == {"refunded": 4, "pending": 0, "refused": 0, "unknown": 0}
    assert "4 refunds, SGD 10.00, batch march" in ended.err
    assert paid(world) == [100, 200, 300, 400]
    rows = results(file)
    assert [(one["line"], one["result"]) for one in rows] == [
        (str(number), "refunded") for number in (2, 3, 4, 5)
    ]
    assert all(one["refund"] in world.ledger.refunds for one in rows)
    # And again asks nobody for anything
    asked = len(service.asked)
    operator.done(line_of(file))
    assert len(service.asked) == asked
    assert [one["result"] for one in results(file)] == ["refunded"] * 4


@pytest.mark.parametrize(
    "changed",
    [
        turned,
        lambda text: "\ufeff" + text,
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace(",", ";"),
        lambda text: text.replace(",", "\t"),
        lambda text: text.replace("\n", "\n\n"),
        lambda text: text.replace("sgd", "SGD"),
    ],
    ids=["sorted", "bom", "crlf", "semicolons", "tabs", "empty lines", "capitals"],
)
def test_the_same_rows_in_another_form_are_the_same_refunds(
    world: World,
    operator: Operator,
    service: InProcess,
    file: Path,
    changed: Callable[[str], str],
) -> None:
    operator.done(line_of(file))
    asked = len(service.asked)
    other = file.with_name("april.csv")
    other.write_bytes(changed(file.read_text()).encode())
    operator.done(line_of(other, f"--result {file.with_name('march.result.csv')}"))
    assert len(service.asked) == asked
    assert paid(world) == [100, 200, 300, 400]


def test_an_inserted_row_is_shown_before_it_alone_is_paid(
    world: World, operator: Operator, service: InProcess, file: Path
) -> None:
    operator.done(line_of(file))
    head, *rows = file.read_text().splitlines()
    file.write_text("\n".join([head, "pr_b0,7.00,sgd,", *rows]) + "\n")
    ended = operator.done(line_of(file))
    assert "The batch march held other rows: 1 new, 0 changed, 0 missing." in ended.err
    assert "+ line 2: pr_b0 7.00 sgd" in ended.err
    assert paid(world) == [100, 200, 300, 400, 700]
    # And what is missing is told by what became of it
    file.write_text("\n".join([head, *rows]) + "\n")
    assert "SGD 7.00 of pr_b0: succeeded" in operator.done(line_of(file)).err


def test_equal_rows_are_refused_unless_they_are_meant_so(
    world: World, operator: Operator, service: InProcess, file: Path
) -> None:
    file.write_text(HEADER + "pr_b0,1.00,sgd,\n" * 2)
    ended = operator(line_of(file))
    assert ended.exit_code == Exit.REFUSED
    assert "lines 2 and 3 are equal" in ended.err
    assert paid(world) == []
    operator.done(line_of(file, "--allow-equal-rows"))
    operator.done(line_of(file, "--allow-equal-rows"))
    assert paid(world) == [100, 100]


def test_a_key_column_names_each_refund_and_no_key_twice(
    world: World, operator: Operator, service: InProcess, file: Path
) -> None:
    keyed = "key,payment,amount,currency\n"
    file.write_text(f"{keyed}o-1,pr_b0,1.00,sgd\no-1,pr_b1,1.00,sgd\n")
    assert "lines 2 and 3 have the key 'o-1'" in operator(line_of(file)).err
    file.write_text(f"{keyed}o-1,pr_b0,1.00,sgd\no-2,pr_b0,1.00,sgd\n")
    operator.done(line_of(file))
    assert sorted(service.asked) == ["o-1", "o-2"]
    # And another amount under a key is refused by the service, and nothing is paid for it
    file.write_text(f"{keyed}o-1,pr_b0,3.00,sgd\n")
    ended = operator(line_of(file))
    assert results(file)[0]["code"] == "idempotency_key_reused"
    assert "1 changed" in ended.err
    assert paid(world) == [100, 100]


BAD = {
    "pr_b0,1.000,50,sgd": "'50' is no currency",
    "pr_b0,1.000,50,sgd,": "5 cells, and 4 columns",
    'pr_b0,"1.000,50",sgd,': "1.000,50",
    "pr_b0,100.50,jpy,": "100.50",
    "pr_b0,,sgd,": "no amount",
    "pr_b0,1.00,,": "without a currency",
    "pr_b0,-1.00,sgd,": "-1.00",
    "pr_b0,1e3,sgd,": "1e3",
    "ch_1,1.00,sgd,": "ch_1",
    "pr_b0,1.00,sgd,a\x07b": "printed",
    f"pr_b0,1.00,sgd,{'x' * 256}": "longer than 255",
}


@pytest.mark.parametrize("bad", BAD)
def test_one_row_that_can_be_misread_stops_all_before_anything_is_sent(
    operator: Operator, service: InProcess, file: Path, bad: str
) -> None:
    file.write_text(file.read_text() + bad + "\n")
    ended = operator(line_of(file))
    assert (ended.exit_code, service.asked) == (Exit.REFUSED, [])
    assert "line 6: " in ended.err
    assert BAD[bad] in ended.err
    assert operator.batches.batches == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        (HEADER, "no row"),
        ("payment,amuont\n", "unknown: 'amuont'"),
        ("payment\npr_1\n", "missing: 'amount'"),
        ("payment,amount,amount\n", "given twice: 'amount'"),
        (HEADER + '"pr_b0,1.00\n', "no CSV"),
    ],
)
def test_a_file_that_is_none_is_refused(
    operator: Operator, service: InProcess, file: Path, text: str, said: str
) -> None:
    file.write_text(text)
    ended = operator(line_of(file))
    assert (ended.exit_code, service.asked) == (Exit.REFUSED, [])
    assert said in ended.err


def test_a_file_that_is_not_utf_8_is_refused(operator: Operator, file: Path) -> None:
    file.write_bytes(b"payment,amount\n\xff\xfe,1\n")
    assert "is not UTF-8" in operator(line_of(file)).err


def test_a_batch_needs_a_name(operator: Operator, file: Path) -> None:
    assert operator(f"refund --from {file} --yes").exit_code == Exit.MISUSED
    assert operator(f"refund --from {file} --batch 'a b' --yes").exit_code == Exit.MISUSED
    assert operator(line_of(file, "--key k")).exit_code == Exit.MISUSED
    assert operator(line_of(file, f"--result {file}")).exit_code == Exit.MISUSED


def test_a_dry_run_checks_every_row_and_sends_nothing(
    world: World, operator: Operator, service: InProcess, file: Path
) -> None:
    operator.done(line_of(file, "--dry-run"))
    assert [one["code"] for one in results(file)] == ["checked"] * 4
    # A payment of another stage, another currency, and rows that are too much together
    file.write_text(
        HEADER + "pr_elsewhere,1.00,sgd,\npr_b1,100,jpy,\npr_b2,60.00,sgd,a\npr_b2,60.00,sgd,b\n"
    )
    ended = operator(line_of(file, "--dry-run"))
    assert ended.exit_code == Exit.REFUSED
    assert [one["code"] for one in results(file)] == [
        "payment_not_found",
        "currency_mismatch",
        "checked",
        "refund_amount_exceeded",
    ]
    assert (service.asked, paid(world), operator.batches.batches) == ([], [], {})


def test_a_payment_of_another_stage_is_one_refused_row(
    world: World, operator: Operator, service: InProcess, file: Path
) -> None:
    file.write_text(file.read_text() + "pr_elsewhere,1.00,sgd,\n")
    operator.done(line_of(file))
    rows = results(file)
    assert [one["result"] for one in rows] == ["refunded"] * 4 + ["refused"]
    assert rows[4]["code"] == "payment_not_found"


def test_what_is_not_final_ends_with_1_and_is_resumed(
    world: World, operator: Operator, service: InProcess, file: Path
) -> None:
    world.processor.fates.extend([RequestLost(), Answered(422, "Refund window exceeded")])
    ended = operator(line_of(file, "--wait 2"))
    assert ended.exit_code == Exit.REFUSED
    assert "run the same line again" in ended.err
    assert [one["result"] for one in results(file)] == ["pending", "refused"] + ["refunded"] * 2


def test_stopped_by_the_keyboard_every_row_is_accounted_for_and_none_is_paid_twice(
    world: World, operator: Operator, service: InProcess, file: Path
) -> None:
    # Given somebody who presses Ctrl-C while the third row is asked for again
    service.mishaps = [None, None, NO_ANSWER]
    operator.sleep = lambda _: stopped()
    ended = operator(line_of(file))
    assert ended.exit_code in (Exit.STOPPED, Exit.REFUSED)
    rows = results(file)
    assert [one["result"] for one in rows][:2] == ["refunded", "refunded"]
    assert rows[3]["code"] == "not_sent"
    assert paid(world) == [100, 200]
    # Then the same line goes on where it was
    operator.sleep = lambda _: None
    operator.done(line_of(file))
    assert paid(world) == [100, 200, 300, 400]


def test_a_key_that_is_refused_in_the_middle_stops_the_rest(
    world: World, operator: Operator, service: InProcess, file: Path
) -> None:
    refused = ServiceAnswer(401, {"error": {"code": "unauthorized", "message": "No such key."}})
    service.mishaps = [None, None, refused, refused, refused]
    ended = operator(line_of(file))
    assert ended.exit_code == Exit.UNREACHABLE
    assert "refuses the key" in ended.err
    assert [one["result"] for one in results(file)] == ["refunded"] * 2 + ["unknown"] * 2
    service.mishaps = []
    operator.done(line_of(file))
    assert paid(world) == [100, 200, 300, 400]


def test_an_outage_is_waited_for_and_pays_nothing_twice(
    world: World, operator: Operator, service: InProcess, file: Path
) -> None:
    world.processor.fates.extend([NotSent(), NotSent()])
    service.mishaps = [None, None, NO_ANSWER, NO_ANSWER]
    operator.done(line_of(file))
    assert paid(world) == [100, 200, 300, 400]
    assert [one["result"] for one in results(file)] == ["refunded"] * 4


def test_two_people_with_one_file_pay_once_and_with_another_are_told(
    world: World, operator: Operator, service: InProcess, file: Path
) -> None:
    # Given a colleague who runs the same file while our second row is asked for
    colleague = Operator(world, operator.capsys, batches=operator.batches)
    colleague.service = InProcess(world)
    service.mishaps = [None, lambda: colleague.done(line_of(file))]
    operator.done(line_of(file, "--result " + str(file.with_name("ours.csv"))))
    assert paid(world) == [100, 200, 300, 400]


def test_cells_that_a_spreadsheet_would_run_are_quoted(
    operator: Operator, service: InProcess, file: Path
) -> None:
    file.write_text(HEADER + "pr_b0,1.00,sgd,=1+2\n")
    operator.done(line_of(file))
    assert results(file)[0]["reason"] == "'=1+2"


def test_a_result_file_that_cannot_be_written_is_said_before_anything_is_sent(
    operator: Operator, service: InProcess, file: Path
) -> None:
    ended = operator(line_of(file, "--result /nowhere/x.csv"))
    assert (ended.exit_code, service.asked) == (Exit.REFUSED, [])
    assert "cannot be written" in ended.err


def test_a_hundred_thousand_rows_are_read_and_one_more_is_refused(
    operator: Operator, service: InProcess, file: Path
) -> None:
    rows = "".join(f"pr_{number},1.00,sgd,\n" for number in range(100_001))
    file.write_text(HEADER + rows)
    ended = operator(line_of(file))
    assert (ended.exit_code, service.asked) == (Exit.REFUSED, [])
    assert "more than 100000 rows" in ended.err


def test_a_provider_that_is_away_leaves_rows_unchecked(
    world: World, operator: Operator, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> object:
        raise StripeUnavailableError("Stripe gives no answer.")

    monkeypatch.setattr("refundctl.refunding.checking.preview", away)
    assert operator(line_of(file, "--dry-run")).exit_code == Exit.REFUSED
    assert {one["code"] for one in results(file)} == {"not_checked"}
