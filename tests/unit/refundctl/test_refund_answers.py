"""What an answer, or the lack of one, says of a refund: never more than is known of it."""

import getpass
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from refund_bridge.ports.ledger import LedgerUnavailableError
from refundctl.exits import Exit
from refundctl.refunding.service import ServiceAnswer
from tests.fakes.processor_fates import Answered, ReplyLost
from tests.fakes.service import InProcess
from tests.fakes.world import World
from tests.unit.refundctl.bulk import HEADER, checked, line_of, paid, results
from tests.unit.refundctl.operator import Operator


@pytest.fixture(autouse=True)
def kim(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whose machine it is; one refund at a time, so that tests know which comes first."""
    monkeypatch.setattr(getpass, "getuser", lambda: "kim")
    monkeypatch.setattr("refundctl.refunding.sending.THREADS", 1)


def answer(status: int, code: str, message: str = "No.") -> ServiceAnswer:
    return ServiceAnswer(status, {"error": {"code": code, "message": message}})


NOT_OURS = {
    "no JSON": answer(200, "unreadable_answer"),
    "a redirect": ServiceAnswer(302, {"message": "Found"}),
    "a proxy's form": ServiceAnswer(400, {"message": "Bad request"}),
    "a code that is not about the refund": answer(400, "bad_request"),
    "a refusal as an error of the service": answer(500, "refund_rejected"),
}


@pytest.mark.parametrize("told", NOT_OURS.values(), ids=NOT_OURS)
def test_an_answer_that_is_not_the_services_own_refusal_leaves_it_unknown(
    operator: Operator, service: InProcess, file: Path, told: ServiceAnswer
) -> None:
    service.mishaps = [told]
    ended = operator(line_of(file, "--patience 0"))
    assert ended.exit_code == Exit.REFUSED
    assert "run the same line again" in ended.err
    assert [one["result"] for one in results(file)] == ["unknown"] + ["refunded"] * 3
    service.mishaps = [told]
    one = operator("refund pr_1 --amount 1.00 --yes --patience 0 --json")
    assert (one.exit_code, one.value["result"]) == (Exit.UNREACHABLE, "unknown")


@pytest.mark.parametrize(
    ("status", "code"),
    [(404, "not_found"), (405, "method_not_allowed"), (415, "unsupported_media_type")],
)
def test_an_address_that_takes_no_refunds_stops_the_run(
    operator: Operator, service: InProcess, file: Path, *, status: int, code: str
) -> None:
    service.mishaps = [answer(status, code)]
    ended = operator(line_of(file))
    assert ended.exit_code == Exit.UNREACHABLE
    assert f"No refunds are taken at this address: {code}: No. The rest was not sent." in ended.err
    assert [one["code"] for one in results(file)] == [code] + ["not_sent"] * 3
    assert len(service.asked) == 1


def refused_by_aws() -> ClientError:
    return ClientError({"Error": {"Code": "ExpiredToken", "Message": "x"}}, "GetItem")


@pytest.mark.parametrize(
    "error", [lambda: LedgerUnavailableError("throttled"), refused_by_aws], ids=["ledger", "aws"]
)
@pytest.mark.parametrize("form", ["", "--json"])
def test_a_ledger_that_is_away_after_the_send_does_not_hide_what_was_sent(
    world: World,
    operator: Operator,
    service: InProcess,
    monkeypatch: pytest.MonkeyPatch,
    *,
    error: Callable[[], Exception],
    form: str,
) -> None:
    def away(*_: Any, **__: Any) -> None:
        raise error()

    monkeypatch.setattr("refundctl.refunding.one.follow", away)
    ended = operator(f"refund pr_1 --amount 1.00 --yes {form}")
    (refund_id,) = world.ledger.refunds
    assert (ended.exit_code, paid(world)) == (Exit.UNREACHABLE, [100])
    assert f" show {refund_id}\n" in ended.err
    if form:
        assert (ended.value["result"], ended.value["replayed"]) == ("refunded", False)


@pytest.mark.parametrize(("status", "code"), [(403, "forbidden"), (404, "not_found")])
def test_who_is_turned_away_after_a_lost_answer_is_told_that_it_may_have_been_made(
    operator: Operator, service: InProcess, *, status: int, code: str
) -> None:
    service.mishaps = [answer(504, "gateway_timeout"), answer(status, code)]
    ended = operator("refund pr_1 --amount 1.00 --yes --json")
    assert ended.exit_code == Exit.UNREACHABLE
    assert (ended.value["result"], ended.value["code"]) == ("unknown", code)
    assert "Repeat it with the same key, and only with that" in ended.err
    assert ended.value["idempotency_key"] in ended.err


def test_credentials_that_run_out_between_two_attempts_do_not_hide_the_first(
    world: World, operator: Operator, service: InProcess
) -> None:
    def run_out() -> None:
        raise refused_by_aws()

    service.mishaps = [answer(504, "gateway_timeout"), run_out]
    ended = operator("refund pr_1 --amount 1.00 --yes --json")
    assert ended.exit_code == Exit.UNREACHABLE
    assert (ended.value["result"], ended.value["code"]) == ("unknown", "no_answer_yet")
    assert "An error came while it was sent: it is not known whether it was made." in ended.err
    assert ended.value["idempotency_key"] in ended.err


def test_who_is_turned_away_at_once_is_told_that_nothing_was_sent(
    operator: Operator, service: InProcess
) -> None:
    service.mishaps = [answer(403, "forbidden")]
    ended = operator("refund pr_1 --amount 1.00 --yes --json")
    assert ended.exit_code == Exit.UNREACHABLE
    assert (ended.value["result"], ended.value["code"]) == (None, "forbidden")
    assert "Repeat it with the same key" not in ended.err


def test_what_the_processor_said_is_told_in_words(
    world: World, operator: Operator, service: InProcess
) -> None:
    world.processor.fates.append(Answered(422, "Refund window exceeded"))
    ended = operator("refund pr_1 --amount 1.00 --yes")
    assert ended.exit_code == Exit.REFUSED
    assert "Refund window exceeded" in ended.out


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("pr_1 --amount 100.00", "refund_amount_exceeded"),
        ("pr_all --all", "payment_not_refundable"),
        ("pr_nobody --all", "payment_not_found"),
        ("pr_1 --all --currency jpy", "currency_mismatch"),
    ],
)
def test_what_is_refused_before_it_is_sent_is_told_to_machines(
    world: World, operator: Operator, service: InProcess, line: str, code: str
) -> None:
    world.pay("all")
    world.refund("before", record="pr_all", amount=9999)
    ended = operator(f"refund {line} --yes --json")
    assert (ended.exit_code, service.asked) == (Exit.REFUSED, [])
    assert (ended.value["result"], ended.value["code"]) == (None, code)
    assert ended.value["message"] in ended.err


def test_a_ledger_that_is_away_before_the_send_is_told_from_an_unknown_outcome(
    world: World, operator: Operator, service: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise LedgerUnavailableError("throttled")

    monkeypatch.setattr(world.ledger, "refund", away)
    ended = operator("refund pr_1 --amount 1.00 --yes --json")
    assert (ended.exit_code, service.asked) == (Exit.UNREACHABLE, [])
    assert (ended.value["result"], ended.value["code"]) == (None, "ledger_unavailable")


def test_a_pending_refund_that_the_ledger_lacks_stays_pending(
    operator: Operator, service: InProcess, file: Path
) -> None:
    # Given an answer of a refund that a ledger, restored meanwhile, does not know
    made = {"object": "refund", "id": "rfd_x", "status": "pending", "amount": 100}
    service.mishaps = [ServiceAnswer(202, made)]
    ended = operator(line_of(file, "--wait 3"))
    assert ended.exit_code == Exit.REFUSED
    assert [one["result"] for one in results(file)] == ["pending"] + ["refunded"] * 3


def test_a_pending_refund_that_succeeds_while_it_is_followed_is_told_as_refunded(
    world: World, operator: Operator, service: InProcess
) -> None:
    world.processor.fates.append(ReplyLost())
    operator.sleep = lambda _: world.live_for(60_000)
    told = operator("refund pr_1 --amount 1.00 --yes --wait 600 --json").value
    assert told["result"] == "refunded"


def test_a_dry_run_speaks_of_money_as_its_columns_do(
    world: World, operator: Operator, service: InProcess, file: Path
) -> None:
    file.write_text(HEADER + "pr_b0,all,,\npr_b0,5.00,sgd,\n")
    operator(line_of(file, "--dry-run"))
    first, second = checked(file)
    assert first["message"] == "It would refund SGD 99.99."
    assert second["message"] == (
        "SGD 5.00 is more than the SGD 0.00 left, rows before it included."
    )


@pytest.mark.parametrize("option", ["--reason=-damaged", "--key=-7"])
def test_the_line_that_goes_on_can_be_pasted_where_a_value_looks_like_an_option(
    operator: Operator, service: InProcess, option: str
) -> None:
    service.mishaps = [answer(0, "no_answer")]
    # The operator pastes every line that is told into the real parser.
    ended = operator(f"refund pr_1 --amount 1.00 {option} --yes --patience 0")
    assert ended.exit_code == Exit.UNREACHABLE
    assert f" {option}" in ended.err


def test_the_words_of_a_told_line_may_be_looked_for(operator: Operator) -> None:
    assert operator("list --reason 'ticket NUMBER: why'").exit_code == Exit.DONE
