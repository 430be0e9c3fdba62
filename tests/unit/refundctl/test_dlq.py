"""What lies among the dead letters is listed with its reason, and tried again."""

import json
import time

import pytest
from botocore.exceptions import ClientError

from refund_bridge.domain.state_machine import ReportState
from refund_bridge.reporting.report import ReportFailedError
from refundctl import dead_letters
from refundctl.exits import Exit
from refundctl.output import Output
from tests.fakes.stripe_fates import Arrives, TurnedAway
from tests.fakes.world import STEP_MS, World
from tests.unit.refundctl.operator import Operator
from tests.unit.refundctl.queues import FakeSqs


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long was waited, in seconds, instead of waiting."""
    waited: list[float] = []
    monkeypatch.setattr(time, "sleep", waited.append)
    return waited


@pytest.fixture
def sqs(operator: Operator, world: World) -> FakeSqs:
    sqs = FakeSqs(now_ms=world.clock.now_ms())
    operator.clients["sqs"] = sqs
    return sqs


def doorbell(refund_id: str) -> str:
    return json.dumps({"refund_id": refund_id, "schema_version": 1})


def failed(world: World, sqs: FakeSqs, key: str) -> str:
    """A refund whose report failed, its message among the dead letters; returns the refund's id."""
    refund_id = world.refund(key, amount=100).refund.id
    world.stripe.decide = lambda _: TurnedAway(1)
    with pytest.raises(ReportFailedError):
        world.report(refund_id, last=True)
    world.stripe.decide = lambda _: Arrives()
    sqs.put("report-dead", doorbell(refund_id))
    return refund_id


def request(key: str = "order-1") -> str:
    """An event that asks for a refund."""
    return json.dumps(
        {
            "id": "event-1",
            "source": "shop",
            "detail-type": "Refund Requested",
            "detail": {"payment_record": "pr_1", "amount": 100, "idempotency_key": key},
        }
    )


class TestList:
    def test_each_is_listed_with_its_refund_and_its_reason(
        self, world: World, operator: Operator, sqs: FakeSqs
    ) -> None:
        refund_id = failed(world, sqs, "k")
        world.clock.advance(90 * STEP_MS)
        (shown,) = operator.json("dlq list")
        assert shown == {
            "queue": "reports",
            "message_id": "message-1",
            "sent_at": "2023-11-14T22:13:20.000Z",
            "age_seconds": 5400,
            "receives": 1,
            "refund_id": refund_id,
            "refund_status": "succeeded",
            "report_status": "failed",
            "reason": "unclear: Stripe limits the rate",
            "attributes": {},
        }
        table = operator.done("dlq list").out
        for fact in (refund_id, "1h30m", "Stripe limits the rate", "reports"):
            assert fact in table

    def test_a_request_says_why_it_was_set_aside(self, operator: Operator, sqs: FakeSqs) -> None:
        sqs.put(
            "request-dead",
            request(),
            reason_code="invalid_request",
            reason="Not of the contract's form.",
            fields="amount: must be an integer",
            refund_id="rfd_named",
        )
        sqs.put("request-dead", request("order-2"), ERROR_CODE="NO_PERMISSIONS", ERROR_MESSAGE="no")
        sqs.put("request-dead", "nonsense")
        first, second, third = operator.json("dlq list --queue requests")
        assert first["refund_id"] == "rfd_named"
        assert first["reason"] == (
            "invalid_request: Not of the contract's form. (amount: must be an integer)"
        )
        # The refund that it would have been follows from its key
        assert second["refund_id"].startswith("rfd_")
        assert second["reason"] == "NO_PERMISSIONS: no"
        assert (third["refund_id"], third["refund_status"]) == (None, None)

    @pytest.mark.parametrize("body", ["nonsense", doorbell("rfd_nobody")])
    def test_a_message_that_names_no_refund_is_said_to(
        self, operator: Operator, sqs: FakeSqs, body: str
    ) -> None:
        sqs.put("report-dead", body)
        assert "names no refund" in operator.json("dlq list")[0]["reason"]

    def test_one_that_owes_nothing_any_more_is_said_to(
        self, world: World, operator: Operator, sqs: FakeSqs
    ) -> None:
        refund_id = failed(world, sqs, "k")
        world.report(refund_id)
        assert "nothing is owed" in operator.json("dlq list")[0]["reason"]

    def test_changes_that_were_not_published_are_listed(
        self, operator: Operator, sqs: FakeSqs
    ) -> None:
        sqs.put("event-dead", "{}")
        assert "not be published" in operator.json("dlq list --queue events")[0]["reason"]

    def test_looking_takes_nothing_away_and_hides_nothing(
        self, world: World, operator: Operator, sqs: FakeSqs
    ) -> None:
        for number in range(25):
            sqs.put("report-dead", doorbell(f"rfd_{number}"))
        assert len(operator.json("dlq list")) == 25
        assert len(sqs.queues["report-dead"]) == 25
        assert not any(message.hidden for message in sqs.queues["report-dead"])

    def test_no_more_than_asked_for_and_that_is_said(
        self, operator: Operator, sqs: FakeSqs
    ) -> None:
        for number in range(12):
            sqs.put("report-dead", doorbell(f"rfd_{number}"))
        ended = operator.done("dlq list --limit 11 --json")
        assert len(ended.value) == 11
        assert "about 12 messages, of which 11 are shown" in ended.err

    def test_a_receive_that_finds_none_does_not_end_the_search(
        self, operator: Operator, sqs: FakeSqs
    ) -> None:
        sqs.put("report-dead", doorbell("rfd_x"))
        sqs.empty_first = 1
        assert len(operator.json("dlq list")) == 1

    def test_empty_queues_are_not_even_looked_into(self, operator: Operator, sqs: FakeSqs) -> None:
        assert operator.json("dlq list") == []
        assert sqs.calls == []
        assert "empty" in operator.done("dlq list").err


class TestReplayAll:
    @pytest.mark.parametrize("native", [True, False])
    def test_everything_goes_back_to_where_it_came_from(
        self, world: World, operator: Operator, sqs: FakeSqs, native: bool
    ) -> None:
        sqs.native = native
        reports = [failed(world, sqs, f"k{n}") for n in range(12)]
        sqs.put("request-dead", request(), reason_code="x")
        sqs.put("event-dead", "{}")
        assert operator.json("dlq replay --all") == {
            "dry_run": False,
            "messages": {"reports": 12, "requests": 1},
        }
        assert sqs.bodies("report") == [doorbell(refund_id) for refund_id in reports]
        assert sqs.bodies("request") == [request()]
        assert sqs.bodies("report-dead") == sqs.bodies("request-dead") == []
        assert sqs.bodies("event-dead") == ["{}"]
        # And each is reported, once
        for refund_id in reports:
            world.report(refund_id)
        assert len(world.stripe.books.reports) == 12
        # And again is harmless
        assert operator.json("dlq replay --all")["messages"] == {}

    def test_of_one_queue_only(self, world: World, operator: Operator, sqs: FakeSqs) -> None:
        failed(world, sqs, "k")
        sqs.put("request-dead", request())
        assert operator.json("dlq replay --all --queue requests")["messages"] == {"requests": 1}
        assert len(sqs.bodies("report-dead")) == 1

    def test_a_dry_run_moves_nothing(self, world: World, operator: Operator, sqs: FakeSqs) -> None:
        failed(world, sqs, "k")
        ended = operator.json("dlq replay --all --dry-run")
        assert ended == {"dry_run": True, "messages": {"reports": 1, "requests": 0}}
        assert len(sqs.bodies("report-dead")) == 1

    def test_the_rate_is_aws_own_where_it_moves_them(
        self, world: World, operator: Operator, sqs: FakeSqs, no_waiting: list[float]
    ) -> None:
        sqs.native = True
        for number in range(7):
            failed(world, sqs, f"k{number}")
        operator.done("dlq replay --all --rate 3")
        (task,) = sqs.tasks
        assert task.per_second == 3
        assert task.destination.endswith(":report")
        assert "send_message" not in sqs.calls
        assert no_waiting == [1, 1]

    def test_the_rate_is_kept_by_hand_elsewhere(
        self, world: World, operator: Operator, sqs: FakeSqs, no_waiting: list[float]
    ) -> None:
        for number in range(4):
            failed(world, sqs, f"k{number}")
        operator.done("dlq replay --all --rate 1")
        # The clock stands still for it, so each waits for all before it
        assert [round(seconds) for seconds in no_waiting] == [1, 2, 3]

    def test_a_move_that_is_under_way_is_followed_and_no_other_begun(
        self, world: World, operator: Operator, sqs: FakeSqs
    ) -> None:
        sqs.native = True
        for number in range(5):
            failed(world, sqs, f"k{number}")
        sqs.start_message_move_task(
            SourceArn="arn:aws:sqs:ap-southeast-1:1:report-dead",
            DestinationArn="arn:aws:sqs:ap-southeast-1:1:report",
            MaxNumberOfMessagesPerSecond=1,
        )
        assert operator.json("dlq replay --all")["messages"] == {"reports": 5}
        assert len(sqs.tasks) == 1

    def test_a_move_that_aws_gives_up_is_said(
        self, world: World, operator: Operator, sqs: FakeSqs
    ) -> None:
        sqs.native = sqs.moves_fail = True
        failed(world, sqs, "k")
        ended = operator("dlq replay --all")
        assert ended.exit_code == Exit.REFUSED
        assert "AccessDenied" in ended.err

    def test_a_move_that_takes_too_long_is_left_to_aws(
        self, world: World, operator: Operator, sqs: FakeSqs, no_waiting: list[float]
    ) -> None:
        sqs.native = True
        failed(world, sqs, "k")
        original = sqs.start_message_move_task

        def slow(**asked: object) -> object:
            answer = original(**asked)  # type: ignore[arg-type]
            sqs.tasks[0].to_move = 1_000_000
            return answer

        sqs.start_message_move_task = slow  # type: ignore[method-assign]
        ended = operator("dlq replay --all")
        assert ended.exit_code == Exit.REFUSED
        assert "still moving" in ended.err
        assert sum(no_waiting) >= dead_letters.PATIENCE_SECONDS

    def test_a_right_that_is_missing_is_no_missing_call(
        self, world: World, operator: Operator, sqs: FakeSqs
    ) -> None:
        failed(world, sqs, "k")

        def denied(**_: object) -> object:
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "List")

        sqs.list_message_move_tasks = denied  # type: ignore[method-assign]
        assert operator("dlq replay --all").exit_code == Exit.UNREACHABLE
        assert len(sqs.bodies("report-dead")) == 1

    def test_what_comes_back_meanwhile_stays(
        self, world: World, operator: Operator, sqs: FakeSqs
    ) -> None:
        # Given a Stripe that is still away: what is sent back is here again at once
        sqs.put("report-dead", "first")
        sqs.put("report-dead", "second")
        original = sqs.send_message

        def comes_back(**asked: object) -> object:
            answer = original(**asked)  # type: ignore[arg-type]
            (message,) = sqs.queues.pop("report")
            sqs.queues["report-dead"].append(message)
            return answer

        sqs.send_message = comes_back  # type: ignore[method-assign]
        assert operator.json("dlq replay --all")["messages"] == {"reports": 2}
        assert sqs.calls.count("send_message") == 2
        assert sorted(sqs.bodies("report-dead")) == ["first", "second"]
        assert not any(message.hidden for message in sqs.queues["report-dead"])


class TestReplaySome:
    def test_only_those_that_are_named_by_refund_or_message(
        self, world: World, operator: Operator, sqs: FakeSqs
    ) -> None:
        sqs.native = True  # AWS could only move all of them
        refunds = [failed(world, sqs, f"k{n}") for n in range(3)]
        message = sqs.put("request-dead", request(), reason="why")
        sqs.put("request-dead", request("another"))
        ended = operator.json(f"dlq replay --id {refunds[1]} --id {message}")
        assert ended == {
            "dry_run": False,
            "messages": ["message-2", message],
            "rung": [],
            "not_found": [],
        }
        assert sqs.bodies("report") == [doorbell(refunds[1])]
        assert sqs.queues["request"][0].attributes == {"reason": "why"}
        assert sqs.bodies("report-dead") == [doorbell(refunds[0]), doorbell(refunds[2])]
        assert not any(m.hidden for m in sqs.queues["report-dead"] + sqs.queues["request-dead"])

    def test_one_whose_message_is_gone_is_rung_for(
        self, world: World, operator: Operator, sqs: FakeSqs
    ) -> None:
        refund_id = failed(world, sqs, "k")
        sqs.queues.clear()  # after 14 days
        world.doorbell.rung.clear()
        assert operator.json(f"dlq replay --id {refund_id}")["rung"] == [refund_id]
        assert world.doorbell.rung == [refund_id]
        world.report(refund_id)
        assert world.stored("k").report.state is ReportState.REPORTED
        # And again there is nothing left to ring for
        ended = operator(f"dlq replay --id {refund_id} --json")
        assert (ended.exit_code, ended.value["not_found"]) == (Exit.REFUSED, [refund_id])

    def test_one_that_nobody_knows_is_said(self, operator: Operator, sqs: FakeSqs) -> None:
        ended = operator("dlq replay --id rfd_nobody")
        assert ended.exit_code == Exit.REFUSED
        assert "rfd_nobody" in ended.err

    def test_a_broken_doorbell_is_said(
        self, world: World, operator: Operator, sqs: FakeSqs
    ) -> None:
        refund_id = failed(world, sqs, "k")
        sqs.queues.clear()
        world.doorbell.is_broken = True
        assert operator(f"dlq replay --id {refund_id}").exit_code == Exit.UNREACHABLE

    def test_a_dry_run_moves_nothing(self, world: World, operator: Operator, sqs: FakeSqs) -> None:
        refund_id = failed(world, sqs, "k")
        ended = operator.json(f"dlq replay --id {refund_id} --id rfd_nobody --dry-run")
        assert ended == {
            "dry_run": True,
            "messages": ["message-1"],
            "rung": [],
            "not_found": ["rfd_nobody"],
        }
        assert len(sqs.bodies("report-dead")) == 1
        assert not sqs.queues["report-dead"][0].hidden


class TestDiscard:
    def test_pointers_are_deleted_when_somebody_says_that_they_are_spent(
        self, operator: Operator, sqs: FakeSqs, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for queue in ("event-dead", "report-dead"):
            sqs.put(queue, "{}")
        ended = operator("dlq discard --queue events")
        assert ended.exit_code == Exit.REFUSED
        assert "About 1 messages of events" in ended.err
        assert "Nothing was deleted" in ended.err
        assert sqs.bodies("event-dead") == ["{}"]
        monkeypatch.setattr(Output, "confirm", lambda *_: True)
        assert operator.json("dlq discard --queue events") == {"deleted": 1}
        assert (sqs.bodies("event-dead"), sqs.bodies("report-dead")) == ([], ["{}"])

    def test_again_is_harmless(self, operator: Operator, sqs: FakeSqs) -> None:
        sqs.put("event-dead", "{}")
        assert operator.json("dlq discard --queue events --yes") == {"deleted": 1}
        assert operator.json("dlq discard --queue events") == {"deleted": 0}
        assert sqs.calls.count("purge_queue") == 1

    @pytest.mark.parametrize("queue", ["--queue reports", "--queue requests", ""])
    def test_what_can_be_replayed_cannot_be_deleted(self, operator: Operator, queue: str) -> None:
        with pytest.raises(SystemExit) as ended:
            operator(f"dlq discard {queue} --yes")
        assert ended.value.code == Exit.MISUSED
