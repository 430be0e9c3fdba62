"""A file of refunds is paid exactly once, whatever happens to the file, to the run or to others."""

import getpass
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from refund_bridge.contract.refund_object import refund_object
from refund_bridge.domain.errors import StripeUnavailableError
from refundctl.exits import Exit
from refundctl.output import Output
from refundctl.refunding.asking import told_of
from refundctl.refunding.csv_rows import ROWS_MAX, read_rows
from refundctl.refunding.service import ServiceAnswer
from tests.fakes.processor_fates import Answered, NotSent, RequestLost
from tests.fakes.service import InProcess
from tests.fakes.stripe_records import FakeRecord
from tests.fakes.world import World
from tests.unit.refundctl.bulk import HEADER, checked, line_of, paid, results
from tests.unit.refundctl.operator import Operator

NO_ANSWER = ServiceAnswer(0, {"error": {"code": "no_answer", "message": "no whole answer"}})


@pytest.fixture(autouse=True)
def kim(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whose machine it is; one refund at a time, so that tests know which comes first."""
    monkeypatch.setattr(getpass, "getuser", lambda: "kim")
    monkeypatch.setattr("refundctl.refunding.sending.THREADS", 1)


def turned(text: str) -> str:
    """The rows from the last to the first."""
    head, *rows = text.splitlines()
    return "\n".join([head, *reversed(rows)]) + "\n"


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
    ended = operator.done(line_of(file, "--changed"))
    assert "The batch march held other rows: 1 new, 0 changed, 0 missing." in ended.err
    assert "+ line 2: pr_b0 7.00 sgd" in ended.err
    assert paid(world) == [100, 200, 300, 400, 700]
    # And what is missing is told by what became of it
    file.write_text("\n".join([head, *rows]) + "\n")
    assert "SGD 7.00 of pr_b0: succeeded" in operator.done(line_of(file, "--changed")).err


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
    ended = operator(line_of(file, "--changed"))
    assert results(file)[0]["code"] == "idempotency_key_reused"
    assert "1 changed" in ended.err
    assert paid(world) == [100, 100]


BAD = {
    "pr_b0,2500.00,jpy,": "write 2500",
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


def test_what_a_spreadsheet_of_another_country_saves_is_read_and_its_amounts_are_refused(
    world: World, operator: Operator, service: InProcess, file: Path
) -> None:
    # Given a byte order mark, semicolons and CRLF together
    saved = "\ufeffPayment;Amount;Currency\r\npr_b0;{};sgd\r\n"
    file.write_bytes(saved.format("1.000,50").encode())
    ended = operator(line_of(file))
    assert "line 2: '1.000,50' is no amount in SGD: write 25.00" in ended.err
    assert (ended.exit_code, service.asked) == (Exit.REFUSED, [])
    file.write_bytes(saved.format("1.50").encode())
    operator.done(line_of(file))
    assert paid(world) == [150]


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
    assert [one["code"] for one in checked(file)] == ["checked"] * 4
    # A payment of another stage, another currency, and rows that are too much together
    file.write_text(
        HEADER + "pr_elsewhere,1.00,sgd,\npr_b1,100,jpy,\npr_b2,60.00,sgd,a\npr_b2,60.00,sgd,b\n"
    )
    ended = operator(line_of(file, "--dry-run"))
    assert ended.exit_code == Exit.REFUSED
    assert [one["code"] for one in checked(file)] == [
        "payment_not_found",
        "currency_mismatch",
        "checked",
        "refund_amount_exceeded",
    ]
    assert [one["message"] for one in checked(file)[2:]] == [
        "It would refund SGD 60.00.",
        "SGD 60.00 is more than the SGD 39.99 left, rows before it included.",
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


@pytest.mark.parametrize("amount", ["1.00", "all"])
def test_a_payment_that_another_stage_books_in_the_same_stripe_account_is_one_refused_row(
    world: World, operator: Operator, service: InProcess, file: Path, amount: str
) -> None:
    # Given a record whose charge belongs to the other stage's account at the processor
    world.stripe.add_record(
        FakeRecord(
            id="pr_theirs",
            currency="sgd",
            requested=9999,
            guaranteed=9999,
            metadata={"hitpay_payment_id": "charge-theirs"},
        )
    )
    file.write_text(file.read_text() + f"pr_theirs,{amount},sgd,\n")
    # When it is tried, and when it is sent
    assert operator(line_of(file, "--dry-run")).exit_code == Exit.REFUSED
    operator.done(line_of(file))
    # Then it alone is refused, by what the processor says
    for rows in (checked(file), results(file)):
        assert (rows[4]["result"], rows[4]["code"]) == ("refused", "payment_not_found")
    assert [one["result"] for one in results(file)][:4] == ["refunded"] * 4
    ended = operator("refund pr_theirs --amount 1.00 --yes --json")
    assert (ended.exit_code, ended.value["code"]) == (Exit.REFUSED, "payment_not_found")
    assert paid(world) == [100, 200, 300, 400]


def test_what_another_stage_has_refunded_of_the_same_charge_is_not_refunded_again(
    world: World, operator: Operator, service: InProcess, file: Path
) -> None:
    # Given two stages on one account, of Stripe and of the processor, and the other's refund
    world.in_dashboard(9950, "b0")
    assert operator(line_of(file, "--dry-run")).exit_code == Exit.REFUSED
    operator.done(line_of(file))
    assert checked(file)[0]["message"] == (
        "SGD 1.00 is more than the SGD 0.49 left, rows before it included."
    )
    for rows in (checked(file), results(file)):
        assert (rows[0]["result"], rows[0]["code"]) == ("refused", "refund_amount_exceeded")
    assert paid(world) == [200, 300, 400, 9950]


def test_what_is_not_final_ends_with_1_and_is_resumed(
    world: World, operator: Operator, service: InProcess, file: Path
) -> None:
    world.processor.fates.extend([RequestLost(), Answered(422, "Refund window exceeded")])
    ended = operator(line_of(file, "--wait 2"))
    assert ended.exit_code == Exit.REFUSED
    assert "run the same line again" in ended.err
    assert [one["result"] for one in results(file)] == ["pending", "refused"] + ["refunded"] * 2


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [(401, "unauthorized", "No such key."), (403, "forbidden", "The key may not refund.")],
)
def test_a_key_that_is_refused_in_the_middle_stops_the_rest(
    world: World,
    operator: Operator,
    service: InProcess,
    file: Path,
    *,
    status: int,
    code: str,
    message: str,
) -> None:
    # Given a row that is pending since before
    service.mishaps = [None, None, None, NO_ANSWER]
    world.processor.fates.append(RequestLost())
    operator(line_of(file, "--wait 0 --patience 0"))
    assert [one["code"] for one in results(file)] == ["", "", "", "no_answer"]
    asked = len(service.asked)
    file.write_text(file.read_text() + "pr_1,5.00,sgd,torn\n")
    # When the key is refused at the fourth
    service.mishaps = [None, ServiceAnswer(status, {"error": {"code": code, "message": message}})]
    ended = operator(line_of(file, "--wait 0 --changed"))
    # Then the rest is not sent, each row is accounted for, and what is pending stays so
    assert ended.exit_code == Exit.UNREACHABLE
    assert f"The service refuses the key: {message} The rest was not sent." in ended.err
    assert "1 pending" in ended.err
    assert "run the same line again; it refunds nothing twice" in ended.err
    assert [(one["result"], one["code"]) for one in results(file)] == [
        ("pending", ""),
        ("refunded", ""),
        ("refunded", ""),
        ("unknown", code),
        ("unknown", "not_sent"),
    ]
    assert len(service.asked) == asked + 2
    # And with a key that is taken the same line goes on
    service.mishaps = []
    operator(line_of(file))
    assert [one["result"] for one in results(file)][1:] == ["refunded"] * 4


def test_an_outage_is_waited_for_and_pays_nothing_twice(
    world: World, operator: Operator, service: InProcess, file: Path
) -> None:
    world.processor.fates.extend([NotSent(), NotSent()])
    service.mishaps = [None, None, NO_ANSWER, NO_ANSWER]
    operator.done(line_of(file))
    assert paid(world) == [100, 200, 300, 400]
    assert [one["result"] for one in results(file)] == ["refunded"] * 4


@pytest.mark.parametrize("result", ["theirs.csv", "march.result.csv"])
def test_two_people_with_one_file_pay_once(
    world: World, operator: Operator, service: InProcess, file: Path, result: str
) -> None:
    # Given a colleague who runs the same file while our second row is asked for
    colleague = Operator(world, operator.capsys, batches=operator.batches)
    colleague.service = InProcess(world)
    theirs = file.with_name(result)
    service.mishaps = [None, lambda: colleague.done(line_of(file, f"--result {theirs}"))]
    operator.done(line_of(file))
    # Then each row is paid once, and both files have every row
    assert paid(world) == [100, 200, 300, 400]
    assert [one["result"] for one in results(file)] == ["refunded"] * 4
    assert len(theirs.read_text().splitlines()) == 5


def test_who_gives_the_batch_other_rows_while_somebody_decides_stops_them(
    world: World,
    operator: Operator,
    service: InProcess,
    file: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    colleague = Operator(world, operator.capsys, batches=operator.batches)
    other = file.with_name("other.csv")
    asked_of = iter([file, other])

    def meanwhile(*_: object) -> bool:
        theirs = file.with_name("theirs.csv")
        colleague.done(line_of(next(asked_of), f"--changed --result {theirs}"))
        return True

    monkeypatch.setattr(Output, "confirm", meanwhile)
    # Given a colleague who begins the same file while we are asked: that is harmless
    operator.done(line_of(file, yes=""))
    assert (service.asked, paid(world)) == ([], [100, 200, 300, 400])
    # And one who gives the name to other rows: that is said, and nothing of ours is sent
    other.write_text(HEADER + "pr_1,7.00,sgd,torn\n")
    file.write_text(file.read_text() + "pr_1,9.00,sgd,torn\n")
    ended = operator(line_of(file, yes=""))
    assert ended.exit_code == Exit.REFUSED
    assert "Somebody else has given march other rows; run it again." in ended.err
    assert (service.asked, paid(world)) == ([], [100, 200, 300, 400, 700])


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


@pytest.mark.heavy
def test_a_hundred_thousand_rows_are_read_and_one_more_is_refused(
    operator: Operator, service: InProcess, file: Path
) -> None:
    rows = [f"pr_{number},1.00,sgd,\n" for number in range(ROWS_MAX + 1)]
    file.write_text(HEADER + "".join(rows[:-1]))
    assert len(read_rows(file)) == ROWS_MAX == 100_000
    file.write_text(HEADER + "".join(rows))
    ended = operator(line_of(file))
    assert (ended.exit_code, service.asked) == (Exit.REFUSED, [])
    assert "more than 100000 rows" in ended.err


def test_what_comes_after_one_row_too_many_is_not_read(
    operator: Operator, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("refundctl.refunding.csv_rows.ROWS_MAX", 3)
    file.write_text(file.read_text() + '"this ends nowhere')
    assert "more than 3 rows" in operator(line_of(file)).err


def test_what_is_no_file_is_refused(operator: Operator, tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(write)
    assert "save it as a file" in operator(line_of(Path(f"/dev/fd/{read}"))).err
    os.close(read)
    assert "directory" in operator(line_of(tmp_path)).err


def test_of_each_refund_no_more_is_kept_than_its_line_needs(world: World) -> None:
    refund = world.refund("k", amount=100, reason="torn").refund
    told = told_of(refund_object(refund, None))
    assert told.refund == {
        "id": refund.id,
        "status": "succeeded",
        "amount": 100,
        "report": refund.report.state.value,
    }


def test_a_row_that_is_pending_stays_so_while_nobody_answers(
    world: World, operator: Operator, service: InProcess, file: Path
) -> None:
    world.processor.fates.append(RequestLost())
    operator(line_of(file, "--wait 0"))
    (pending, *_) = results(file)
    service.mishaps = [NO_ANSWER]
    operator(line_of(file, "--wait 0 --patience 0"))
    assert results(file)[0] == pending
    assert (pending["result"], pending["code"]) == ("pending", "")


def test_many_pending_rows_are_waited_for_by_the_clock_not_by_the_number_of_looks(
    world: World, operator: Operator, service: InProcess, file: Path
) -> None:
    # Given a refund that stays pending, and looks that take half a minute each
    world.processor.fates.append(RequestLost())
    looks: list[float] = []

    def half_a_minute(seconds: float) -> None:
        looks.append(seconds)
        world.clock.advance(30_000)

    operator.sleep = half_a_minute
    operator(line_of(file, "--wait 60"))
    assert len(looks) == 3
    assert results(file)[0]["result"] == "pending"


def test_a_provider_that_is_away_leaves_rows_unchecked(
    world: World, operator: Operator, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> object:
        raise StripeUnavailableError("Stripe gives no answer.")

    monkeypatch.setattr("refundctl.refunding.checking.preview", away)
    assert operator(line_of(file, "--dry-run")).exit_code == Exit.REFUSED
    assert {one["code"] for one in checked(file)} == {"not_checked"}
