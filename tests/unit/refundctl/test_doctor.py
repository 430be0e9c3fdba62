"""Each thing that can be wrong is found, and comes with what to do; no secret is ever shown."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from refundctl import doctor
from refundctl.checks import ledger, providers, queues, release, secrets
from refundctl.checks.finding import Finding, Level, fail, fine, warn
from refundctl.exits import Exit
from refundctl.options import Call
from refunds.adapters.http_messages import HttpAnswer, HttpRequest
from refunds.config import Mode
from tests.fakes.processor_fates import ReplyLost, RequestLost
from tests.fakes.world import STEP_MS, World
from tests.unit.refundctl.operator import Operator

NOW_MS = 1_700_000_000_000
OK, WARN, FAIL = Level.OK, Level.WARN, Level.FAIL


class TestSecrets:
    @pytest.mark.parametrize(
        ("name", "stored", "level"),
        [
            ("stripe-secret-key", ("SecureString", "sk_test_x"), OK),
            ("stripe-secret-key", ("String", "sk_test_x"), FAIL),
            ("stripe-secret-key", ("SecureString", " "), FAIL),
            ("hitpay-api-key", None, FAIL),
            ("hitpay-webhook-salts", None, WARN),
        ],
    )
    def test_is_it_there_and_encrypted(
        self, name: str, stored: tuple[str, str] | None, level: Level
    ) -> None:
        found = secrets.present(name, stored)
        assert found.level is level
        assert name in found.check
        assert "sk_test_x" not in found.found + found.todo

    @pytest.mark.parametrize(
        ("key", "mode", "level"),
        [
            ("sk_test_x", Mode.TEST, OK),
            ("rk_live_x", Mode.LIVE, OK),
            ("sk_live_secret", Mode.TEST, FAIL),
            ("sk_test_secret", Mode.LIVE, FAIL),
            ("pk_test_secret", Mode.TEST, FAIL),
        ],
    )
    def test_is_it_of_the_right_mode(self, key: str, mode: Mode, level: Level) -> None:
        found = secrets.stripe_mode(key, mode)
        assert found.level is level
        assert key not in found.found

    def test_does_hitpays_address_fit_the_mode(self) -> None:
        live, sandbox = "https://api.hit-pay.com", "https://api.sandbox.hit-pay.com"
        assert secrets.hitpay_mode(live, Mode.LIVE).level is OK
        assert secrets.hitpay_mode(sandbox, Mode.TEST).level is OK
        assert secrets.hitpay_mode(sandbox, Mode.LIVE).level is FAIL
        assert secrets.hitpay_mode(live, Mode.TEST).level is FAIL

    def test_is_anybody_let_in(self) -> None:
        assert secrets.callers(["shop.1"], []).level is OK
        assert secrets.callers([], []).level is WARN
        assert "keys create" in secrets.callers([], ["x"]).todo
        assert "by-hand" in secrets.callers(["shop.1"], ["by-hand"]).found


class TestProviders:
    PROBE = providers.Probe("HitPay", HttpRequest("GET", "https://h", {"X": "the-key"}), (200,))

    @pytest.mark.parametrize(
        ("status", "level"),
        [(200, OK), (401, FAIL), (403, FAIL), (404, FAIL), (429, WARN), (503, WARN)],
    )
    def test_does_it_answer_to_this_key(self, status: int, level: Level) -> None:
        found = providers.reachable(self.PROBE, HttpAnswer(status, {}, b"the-key"))
        assert found.level is level
        assert "the-key" not in found.found + found.todo
        assert (found.todo == "") == (level is OK)

    def test_does_it_answer_at_all(self) -> None:
        found = providers.unreachable("Stripe", "connecting took too long")
        assert found.level is FAIL
        assert "connecting took too long" in found.found

    @pytest.mark.parametrize(
        ("ahead_ms", "level"),
        [
            (0, OK),
            (5_000, OK),
            (-5_000, OK),
            (5_001, WARN),
            (-5_001, WARN),
            (60_000, WARN),
            (60_001, FAIL),
            (-60_001, FAIL),
        ],
    )
    def test_do_the_clocks_agree(self, ahead_ms: int, level: Level) -> None:
        date = format_datetime(datetime.fromtimestamp(NOW_MS // 1000, UTC), usegmt=True)
        found = providers.clocks("HitPay", date, NOW_MS + 500 + ahead_ms)
        assert found.level is level

    def test_which_way_they_differ(self) -> None:
        date = format_datetime(datetime.fromtimestamp(NOW_MS // 1000, UTC), usegmt=True)
        assert "90 s ahead" in providers.clocks("HitPay", date, NOW_MS + 90_500).found
        assert "90 s behind" in providers.clocks("HitPay", date, NOW_MS - 89_500).found

    @pytest.mark.parametrize("date", [None, "", "yesterday"])
    def test_an_answer_without_a_date_tells_nothing(self, date: str | None) -> None:
        assert providers.clocks("HitPay", date, NOW_MS).level is WARN


class TestQueues:
    @pytest.mark.parametrize("name", ["reports", "requests", "events"])
    def test_dead_letters_are_for_a_person(self, name: str) -> None:
        assert queues.dead_letters(name, 0).level is OK
        found = queues.dead_letters(name, 200)
        assert (found.level, found.found) == (FAIL, "there are 200")
        assert "refundctl" in found.todo

    def test_a_queue_that_grows(self) -> None:
        assert queues.waiting("reports", 1000).level is OK
        assert queues.waiting("reports", 1001).level is WARN

    def test_does_somebody_listen(self) -> None:
        states = {"a": "Enabled", "b": "Disabled", "c": "missing"}
        assert [found.level for found in queues.listeners(states)] == [OK, FAIL, FAIL]

    def test_does_settling_run_by_itself(self) -> None:
        assert queues.schedules({"settle": "ENABLED", "sweep": "ENABLED"}).level is OK
        found = queues.schedules({"settle": "DISABLED", "sweep": "ENABLED"})
        assert (found.level, found.found) == (FAIL, "settle: DISABLED")

    def test_is_an_alarm_on(self) -> None:
        assert queues.alarms(9, []).level is OK
        assert queues.alarms(0, []).level is WARN
        found = queues.alarms(9, ["stack-review: see docs/runbook.md#review"])
        assert found.level is FAIL
        assert "stack-review" in found.found


class TestLedger:
    @staticmethod
    def described(**changed: str) -> dict[str, Any]:
        indexes = [{"IndexName": name, "IndexStatus": "ACTIVE"} for name in ("due", "by_month")]
        for index in indexes:
            index["IndexStatus"] = changed.get(index["IndexName"], "ACTIVE")
        return {
            "TableStatus": changed.get("table", "ACTIVE"),
            "GlobalSecondaryIndexes": indexes,
        }

    def test_does_it_work(self) -> None:
        assert ledger.status(self.described()).level is OK
        assert ledger.status(self.described(table="UPDATING")).level is FAIL
        found = ledger.status(self.described(due="CREATING"))
        assert (found.level, found.found) == (FAIL, "index due is CREATING")

    @pytest.mark.parametrize("shield", [ledger.protection, ledger.recovery])
    def test_is_it_protected(self, shield: Callable[..., Finding]) -> None:
        assert shield(True, is_local=False).level is OK
        assert shield(False, is_local=False).level is FAIL
        assert shield(False, is_local=True).level is WARN

    def test_does_anything_wait_for_too_long(self, world: World) -> None:
        # Given a ledger in which nothing is open
        now_ms = world.clock.now_ms
        assert [one.level for one in ledger.waiting([], now_ms())] == [OK, OK]
        # When an outcome is unknown, that is fine for a quarter of an hour
        world.processor.fates.append(RequestLost())
        refund = world.refund("k", amount=100).refund
        world.clock.advance(15 * STEP_MS)
        assert [one.level for one in ledger.waiting([refund], now_ms())] == [OK, OK]
        world.clock.advance(1)
        oldest = list(ledger.waiting([refund], now_ms()))[1]
        assert oldest.level is WARN
        assert refund.id in oldest.todo

    def test_does_anything_wait_for_a_person(self, world: World) -> None:
        world.processor.fates.append(ReplyLost())
        world.refund("k", amount=100)
        world.processor.refund_in_dashboard("charge-1", 100)
        world.settle_due()
        reviews, oldest = ledger.waiting([world.stored("k")], world.clock.now_ms())
        assert (reviews.level, oldest.level) == (FAIL, OK)
        assert world.stored("k").id in reviews.found
        assert reviews.todo == "refundctl review"


class TestRelease:
    def test_does_live_run_what_was_deployed(self) -> None:
        latest = {"CodeSha256": "a", "Timeout": 45, "Version": "$LATEST"}
        assert release.same_version("f", latest, latest | {"Version": "7"}).level is OK
        found = release.same_version("f", latest, latest | {"Version": "6", "CodeSha256": "b"})
        assert found.level is FAIL
        assert "CodeSha256" in found.found

    def test_is_there_room_in_the_account(self) -> None:
        levels = [release.concurrency(1000, free).level for free in (9, 10, 99, 100)]
        assert levels == [FAIL, WARN, WARN, OK]

    def test_may_the_gateway_write_logs(self) -> None:
        assert release.gateway_role("arn", wanted=True).level is OK
        assert release.gateway_role("", wanted=False).level is OK
        assert release.gateway_role("", wanted=True).level is FAIL


def having(*findings: Finding) -> Callable[[Call], Iterator[Finding]]:
    return lambda _call: iter(findings)


class TestCommand:
    def test_all_findings_are_listed_and_the_worst_decides(
        self, operator: Operator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        good, bad = fine("a", "good"), fail("b", "bad", "mend it")
        odd = warn("c", "odd", "look at it")
        for found, exit_code, level in (
            ([good], Exit.DONE, "ok"),
            ([good, odd], Exit.DONE, "warn"),
            ([bad, odd, good], Exit.REFUSED, "fail"),
        ):
            monkeypatch.setattr(doctor, "CHECKS", (("some", having(*found)),))
            ended = operator("doctor --json")
            assert (ended.exit_code, ended.value["level"]) == (exit_code, level)
            assert len(ended.value["findings"]) == len(found)
        assert ended.value["findings"][0] == {
            "level": "fail",
            "check": "b",
            "found": "bad",
            "todo": "mend it",
        }
        table = operator("doctor").out
        assert "mend it" in table
        assert "good" not in operator("doctor --quiet").out

    def test_what_may_not_be_asked_is_said_and_stops_nothing_else(
        self, operator: Operator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def denied(_call: Call) -> Iterator[Finding]:
            yield fine("a", "good")
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "Ask")

        checks = (("first", denied), ("second", having(fine("b", "good"))))
        monkeypatch.setattr(doctor, "CHECKS", checks)
        ended = operator.done("doctor --json")
        assert [one["check"] for one in ended.value["findings"]] == ["a", "first", "b"]
        assert "AccessDenied" in json.dumps(ended.value)
