"""Each thing that can be wrong is found, and comes with what to do; no secret is ever shown."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from deployed.command_lines import spelt
from refund_bridge.adapters.http.api_key import KeyUnavailableError
from refund_bridge.adapters.http.messages import HttpAnswer
from refund_bridge.config import ConfigurationError, Mode
from refund_bridge.domain.report import CreditNote
from refund_bridge.domain.state_machine import CreditNoteState, ReportState
from refund_bridge.ports.ledger import LedgerUnavailableError
from refund_bridge.ports.processor import ProviderUnavailableError
from refund_bridge.ports.queues import DoorbellError
from refundctl import doctor
from refundctl.checks import ledger, providers, queues, release, secrets
from refundctl.checks.finding import Finding, Level, fail, fine, warn
from refundctl.exits import Exit, UnreachableError
from refundctl.options import Call
from refundctl.target import Stack, Target
from tests.fakes.processor_fates import ReplyLost, RequestLost
from tests.fakes.world import STEP_MS, World
from tests.unit.refundctl.operator import Operator, TargetInMemory

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
        ("text", "level", "told"),
        [
            ("a" * 16, OK, "16 characters or more"),
            (f"{'a' * 16},{'b' * 40}", OK, "16 characters or more"),
            ("a" * 15, WARN, "1 of 1 shorter than 16"),
            (f"{'a' * 40}, {'b' * 15}\n{'c' * 3}", WARN, "2 of 3 shorter than 16"),
        ],
    )
    def test_is_each_salt_long_enough_to_be_let_in(
        self, text: str, level: Level, told: str
    ) -> None:
        found = secrets.salts(text)
        assert (found.level, told in found.found) == (level, True)
        assert "a" * 15 not in found.found + found.todo
        assert found.commands == (("secrets set hitpay-webhook-salts",) if level is WARN else ())

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

    @pytest.mark.parametrize(
        ("parameter", "live", "sandbox"),
        [
            ("HitPayUrl", "https://api.hit-pay.com", "https://api.sandbox.hit-pay.com"),
            ("HedgeUrl", "https://api.hedgepayments.com", "https://api-sandbox.hedgepayments.com"),
        ],
    )
    def test_does_a_processors_address_fit_the_mode(
        self, parameter: str, live: str, sandbox: str
    ) -> None:
        def level(url: str, mode: str) -> Level:
            (found,) = secrets.processors_modes({"Mode": mode, parameter: url})
            return found.level

        assert (level(live, "live"), level(sandbox, "test")) == (OK, OK)
        assert (level(sandbox, "live"), level(live, "test")) == (FAIL, FAIL)

    def test_is_each_processor_set_up_as_it_must_be(self) -> None:
        given = {"Mode": "test", "HitPayUrl": "http://h", "CcgUrl": "http://c"}
        hitpay, ccg = secrets.processors_modes(given)
        assert (hitpay.level, ccg.level) == (OK, FAIL)
        assert "CCG_AMOUNT_UNIT" in ccg.found
        (none,) = secrets.processors_modes({"Mode": "test"})
        assert (none.level, none.check) == (FAIL, "processors")

    def test_is_anybody_let_in(self) -> None:
        assert secrets.callers(["shop.1"], []).level is OK
        assert secrets.callers([], []).level is WARN
        assert secrets.callers([], ["x"]).commands == ("keys create desk --output desk.key",)
        assert secrets.callers(["a.1"], ["b", "c"]).commands == ("keys revoke b", "keys revoke c")
        assert "by-hand" in secrets.callers(["shop.1"], ["by-hand"]).found


class TestProviders:
    PROBE = providers.Probe("HitPay", lambda *_: None, (200,))

    @pytest.mark.parametrize(
        ("status", "level"),
        [(200, OK), (401, FAIL), (403, FAIL), (404, FAIL), (429, WARN), (503, WARN)],
    )
    def test_does_it_answer_to_this_key(self, status: int, level: Level) -> None:
        found = providers.reachable(self.PROBE, HttpAnswer(status, {}, b"the-key"))
        assert found.level is level
        assert "the-key" not in found.found + found.todo
        assert (found.todo == "") == (level is OK)
        assert ("callers may get 503" in found.todo) == (level is WARN)

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
        assert f"dlq list --queue {name}" in found.commands

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

    def test_a_stack_that_is_paused_is_said_to_be(self) -> None:
        assert queues.paused().level is WARN

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
        assert oldest.commands == (f"show {refund.id}",)

    def test_does_anything_wait_for_a_person(self, world: World) -> None:
        world.processor.fates.append(ReplyLost())
        world.refund("k", amount=100)
        world.processor.refund_in_dashboard("charge-1", 100)
        world.settle_due()
        reviews, oldest = ledger.waiting([world.stored("k")], world.clock.now_ms())
        assert (reviews.level, oldest.level) == (FAIL, OK)
        assert world.stored("k").id in reviews.found
        assert reviews.commands == ("review",)

    def test_what_was_given_up_is_named_with_how_to_replay_it(self, world: World) -> None:
        # Given four refunds whose reports failed, and one whose credit note did
        made = [world.refund(f"k{number}", amount=100).refund for number in range(5)]
        failed = [
            replace(one, report=replace(one.report, state=ReportState.FAILED)) for one in made[:4]
        ]
        note = replace(made[4], credit_note=CreditNote(state=CreditNoteState.FAILED))
        reports, notes = ledger.given_up([*failed, note], "of the 5 newest")
        first = [one.id for one in failed[:3]]
        assert (reports.level, notes.level) == (FAIL, WARN)
        assert reports.found == f"4 of the 5 newest: {', '.join(first)}"
        assert reports.commands == (
            "list --report failed",
            "dlq replay " + " ".join(f"--id {one}" for one in first) + " --dry-run",
        )
        assert notes.commands == ("list --credit-note failed", f"notes replay {note.id} --dry-run")
        assert list(ledger.given_up(made, "of the 5 newest")) == []


class TestRelease:
    @pytest.mark.parametrize(
        ("state", "level"), [("Active", OK), ("Inactive", WARN), ("Failed", FAIL)]
    )
    def test_is_the_snapshot_awake(self, state: str, level: Level) -> None:
        assert release.awake("refund-api", state).level is level

    def test_does_live_run_what_was_deployed(self) -> None:
        assert release.same_version("f", "7", []).level is OK
        found = release.same_version("f", "6", ["CodeSha256"])
        assert found.level is FAIL
        assert "version 6" in found.found
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


def refused_by_aws(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "no"}}, "Ask")


def stopped_by(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Let a subject be asked that stops in the middle, and after it another."""

    def half(_call: Call) -> Iterator[Finding]:
        yield fine("a", "good")
        raise error

    monkeypatch.setattr(doctor, "CHECKS", (("ledger", half), ("queues", having(fine("b", "ok")))))


class TestCommand:
    def test_all_findings_are_listed_and_the_worst_decides(
        self, operator: Operator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        good, bad = (
            fine("a", "good"),
            fail("b", "bad", "mend it", spelt("review"), spelt("dlq", "list")),
        )
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
            "commands": ["refundctl review", "refundctl dlq list"],
        }
        table = operator("doctor").out
        assert "mend it" in table
        assert "refundctl review --stage production" in operator("doctor --stage production").out
        assert "good" not in operator("doctor --quiet").out

    def test_what_may_not_be_asked_is_said_and_stops_nothing_else(
        self, operator: Operator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stopped_by(monkeypatch, refused_by_aws("AccessDenied"))
        ended = operator.done("doctor --json")
        checks = {one["check"]: one for one in ended.value["findings"]}
        assert list(checks) == ["a", "ledger", "b"]
        assert checks["ledger"]["level"] == "warn"
        assert "AccessDenied" in checks["ledger"]["found"]

    @pytest.mark.parametrize(
        ("error", "said"),
        [
            (LedgerUnavailableError("throttled"), "throttled"),
            (KeyUnavailableError("The keys cannot be read."), "cannot be read"),
            (ConfigurationError("It mixes real and play money."), "real and play money"),
            (ProviderUnavailableError("too slow"), "too slow"),
            (DoorbellError("The queue is away."), "queue is away"),
            (UnreachableError("There is no table."), "no table"),
            (EndpointConnectionError(endpoint_url="https://there"), "https://there"),
            (refused_by_aws("ResourceNotFoundException"), "ResourceNotFoundException"),
            (refused_by_aws("ThrottlingException"), "ThrottlingException"),
        ],
        ids=lambda one: type(one).__name__ if isinstance(one, Exception) else None,
    )
    def test_what_gives_no_answer_fails_and_all_else_is_told(
        self, operator: Operator, monkeypatch: pytest.MonkeyPatch, error: Exception, said: str
    ) -> None:
        # Given a subject that stops in the middle
        stopped_by(monkeypatch, error)
        # When somebody, or something that pages, asks how things are
        ended = operator("doctor --json")
        # Then it fails, and says why, and everything else is told as well
        assert (ended.exit_code, ended.value["level"]) == (Exit.REFUSED, "fail")
        first, failed, last = ended.value["findings"]
        assert (first["check"], last["check"]) == ("a", "b")
        assert (failed["check"], failed["level"]) == ("ledger", "fail")
        assert said in failed["found"]
        assert failed["todo"]

    def test_a_defect_of_the_doctor_itself_is_no_finding(
        self, operator: Operator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stopped_by(monkeypatch, ZeroDivisionError())
        with pytest.raises(ZeroDivisionError):
            operator("doctor --json")

    def test_without_its_stack_nothing_can_be_told(
        self, operator: Operator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def gone(_target: Target) -> Stack:
            raise UnreachableError("There is no stack refund-bridge-test.")

        monkeypatch.setattr(TargetInMemory, "stack", property(gone))
        ended = operator("doctor --json")
        assert (ended.exit_code, ended.out) == (Exit.UNREACHABLE, "")
        assert "There is no stack" in ended.err
