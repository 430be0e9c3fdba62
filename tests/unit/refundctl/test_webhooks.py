"""Addresses of webhooks are added, tried, changed and removed; a secret is shown once."""

from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from refund_bridge.adapters.dynamodb.items import due_shard_of
from refund_bridge.delivering.message import message_text
from refund_bridge.delivering.ports import Cursor, Status
from refund_bridge.domain.refund import refund_id_of
from refundctl.exits import Exit
from tests.fakes.webhooks import MemoryAddressStates, MemoryBell, MemoryCursors
from tests.fakes.world import STAGE, World
from tests.unit.refundctl.operator import Operator
from tests.unit.refundctl.queues import FakeSqs

URL = "https://shop.example.com/hooks"


def added(operator: Operator, url: str = URL, options: str = "") -> Any:
    return operator.json(f"webhooks add {url} --output - {options}")


def listed(operator: Operator) -> Any:
    return operator.json("webhooks list")


def test_a_secret_is_all_that_adding_writes_to_stdout(operator: Operator) -> None:
    ended = operator.done(f"webhooks add {URL} --output -")
    assert ended.out.startswith("whsec_")
    assert ended.out.count("\n") == 1
    assert ended.out.strip() not in ended.err
    (one,) = listed(operator)
    assert (one["url"], one["status"], one["secrets"]) == (URL, "enabled", 1)
    assert ended.out.strip() not in operator.done("webhooks list").out


def test_a_secret_may_go_to_a_file_for_its_owner_alone(operator: Operator, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    told = operator.json(f"webhooks add {URL} --output {file}")
    assert told["file"] == str(file)
    assert "secret" not in told
    assert file.read_text().startswith("whsec_")
    assert file.stat().st_mode & 0o777 == 0o600
    again = operator(f"webhooks add {URL} --output {file}")
    assert again.exit_code == Exit.REFUSED
    assert len(listed(operator)) == 1


def test_a_secret_is_not_shown_to_nobody(operator: Operator) -> None:
    assert operator(f"webhooks add {URL}").exit_code == Exit.MISUSED
    assert listed(operator) == []


@pytest.mark.parametrize(
    "url",
    ["http://shop.example.com/", "https://127.0.0.1/", "https://10.0.0.1/", "https://x.example:8/"],
)
def test_an_address_that_may_not_be_sent_to_is_not_added(operator: Operator, url: str) -> None:
    ended = operator(f"webhooks add {url} --output -")
    assert ended.exit_code == Exit.REFUSED
    assert "Nothing was added" in ended.err
    assert listed(operator) == []


def test_this_machine_may_be_sent_to_on_a_local_stage_only(operator: Operator) -> None:
    url = "http://127.0.0.1:4242/"
    assert operator(f"webhooks add {url} --output -").exit_code == Exit.REFUSED
    operator.parameters["Stage"] = "local"
    assert added(operator, url)["url"] == url


def test_types_may_be_chosen(operator: Operator) -> None:
    added(operator, options="--type refund.failed --type refund.updated --api-version 2025-01-01")
    (one,) = listed(operator)
    assert one["types"] == ["refund.failed", "refund.updated"]
    assert one["api_version"] == "2025-01-01"
    with pytest.raises(SystemExit):
        operator(f"webhooks add {URL} --type charge.refunded --output -")


def test_there_are_so_many_and_no_more(operator: Operator) -> None:
    for _ in range(16):
        added(operator)
    assert operator(f"webhooks add {URL} --output -").exit_code == Exit.REFUSED
    assert len(listed(operator)) == 16


def test_rotated_both_secrets_sign_until_the_old_one_is_over(
    operator: Operator, world: World
) -> None:
    one = added(operator)
    new = operator.json(f"webhooks rotate {one['id']} --output -")
    assert new["secret"] != one["secret"]
    assert listed(operator)[0]["secrets"] == 2
    world.clock.advance(24 * 3_600_000)
    assert listed(operator)[0]["secrets"] == 1
    operator.json(f"webhooks rotate {one['id']} --hours 0 --output -")
    assert listed(operator)[0]["secrets"] == 1


def signing(operator: Operator, world: World) -> list[str]:
    """The secrets of the only address that sign now."""
    (address,) = operator.webhooks.store.all()
    return list(address.signing(world.clock.now_ms()))


def test_it_is_not_rotated_again_while_the_receiver_may_still_have_the_old_secret(
    operator: Operator, world: World
) -> None:
    # Given an address that was rotated
    one = added(operator)
    new = operator.json(f"webhooks rotate {one['id']} --output -")
    # When it is rotated again, then it is refused, and the sentence says until when
    ended = operator(f"webhooks rotate {one['id']} --output -")
    assert ended.exit_code == Exit.REFUSED
    assert "both secrets sign until 2023-11-15 22:13:20 UTC" in ended.err
    assert ended.out == ""
    assert signing(operator, world) == [one["secret"], new["secret"]]


def test_a_new_secret_that_was_lost_is_replaced_and_the_receivers_goes_on_signing(
    operator: Operator, world: World
) -> None:
    # Given an address whose newest secret nobody has
    one = added(operator)
    operator.json(f"webhooks rotate {one['id']} --output -")
    # When it is rotated once more, with that said, an hour later
    world.clock.advance(3_600_000)
    new = operator.json(f"webhooks rotate {one['id']} --lost --output -")
    # Then the receiver's secret signs for a day from now, beside the new one
    world.clock.advance(24 * 3_600_000 - 1)
    assert signing(operator, world) == [one["secret"], new["secret"]]
    world.clock.advance(1)
    assert signing(operator, world) == [new["secret"]]


def test_a_file_that_cannot_be_written_changes_nothing(
    operator: Operator, world: World, tmp_path: Path
) -> None:
    # Given a place where no file can be made
    one, file = added(operator), tmp_path / "nowhere" / "secret"
    # When an address is added or rotated with it, then nothing is stored
    for command in (f"add {URL}", f"rotate {one['id']}"):
        ended = operator(f"webhooks {command} --output {file}")
        assert ended.exit_code == Exit.REFUSED
        assert f"{file} cannot be written: No such file or directory" in ended.err
    assert signing(operator, world) == [one["secret"]]


def test_where_storing_fails_the_secret_may_be_in_use_and_is_kept(
    operator: Operator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a Systems Manager of which no answer comes
    one, file = added(operator), tmp_path / "secret"

    def no_answer(_address: object) -> None:
        raise EndpointConnectionError(endpoint_url="https://ssm")

    monkeypatch.setattr(operator.webhooks.store, "put", no_answer)
    # When a secret is rotated into a file
    ended = operator(f"webhooks rotate {one['id']} --output {file}")
    # Then it is kept, and the sentence says how to see if it is used
    assert ended.exit_code == Exit.UNREACHABLE
    assert f"The secret in {file} may not be used." in ended.err
    assert "refundctl webhooks list" in ended.err
    assert file.read_text().startswith("whsec_")


def test_of_an_address_too_many_no_file_is_left(operator: Operator, tmp_path: Path) -> None:
    # Given as many addresses as there may be
    for _ in range(16):
        added(operator)
    # When another is added, then it is refused, and no secret lies about
    file = tmp_path / "secret"
    assert operator(f"webhooks add {URL} --output {file}").exit_code == Exit.REFUSED
    assert not file.exists()


def test_disabled_it_is_told_nothing_until_it_is_enabled(operator: Operator) -> None:
    one = added(operator)
    states = operator.webhooks.states
    operator.done(f"webhooks disable {one['id']}")
    assert states.enabled() == []
    assert listed(operator)[0]["status"] == "disabled"
    operator.done(f"webhooks enable {one['id']}")
    assert states.enabled() == [one["id"]]


def test_enabled_again_what_it_is_owed_is_due_at_once(operator: Operator, world: World) -> None:
    # Given an address that is disabled while it is owed something, and another
    one, other, refund = added(operator), added(operator), world.refund("order-1").refund
    cursors, now_ms = operator.webhooks.cursors, world.clock.now_ms()
    for address in (one, other):
        cursors.owe(
            refund.id,
            address["id"],
            after_sequence=0,
            now_ms=now_ms,
            check_at_ms=now_ms + 7_200_000,
        )
    assert "kept for 3d" in operator.done(f"webhooks disable {one['id']}").out
    # When it is enabled
    ended = operator.done(f"webhooks enable {one['id']}")
    # Then settling rings for it at once, and for nobody else
    assert "events of 1 refunds" in ended.err
    due = cursors.due(due_shard_of(refund.id), before_ms=now_ms + 1, limit=10)
    assert due == [(refund.id, one["id"])]


def test_removed_it_is_gone_with_its_secrets(operator: Operator) -> None:
    one = added(operator)
    assert operator(f"webhooks remove {one['id']}").exit_code == Exit.REFUSED
    operator.done(f"webhooks remove {one['id']} --yes")
    assert listed(operator) == []
    assert operator.webhooks.store.all() == []
    state = operator.webhooks.states.state(one["id"])
    assert state is not None
    assert state.status is Status.REMOVED


@pytest.mark.parametrize("command", ["test", "disable", "enable", "remove --yes"])
@pytest.mark.parametrize("address", ["we_ffffffffffffffff", "nonsense"])
def test_an_address_that_there_is_not_is_refused(
    operator: Operator, command: str, address: str
) -> None:
    ended = operator(f"webhooks {command} {address}")
    assert ended.exit_code == Exit.REFUSED
    assert "There is no address" in ended.err


def test_one_whose_parameter_is_gone_is_shown_and_can_be_removed(operator: Operator) -> None:
    one = added(operator)
    operator.webhooks.store.remove(one["id"])
    assert listed(operator)[0]["url"] is None
    assert operator(f"webhooks enable {one['id']}").exit_code == Exit.REFUSED
    operator.done(f"webhooks remove {one['id']} --yes")


def test_a_test_event_is_sent_by_the_function(operator: Operator) -> None:
    one, asked = added(operator), []

    def invoke(function: str, payload: dict[str, str]) -> Any:
        asked.append((function, payload))
        return {"taken": True, "reason": None, "took_ms": 40}

    operator.clients["invoke"] = invoke
    assert "in 40 ms" in operator.done(f"webhooks test {one['id']}").out
    assert asked == [("deliver-webhooks", {"test_address": one["id"]})]


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ({"taken": False, "reason": "it answered 500", "took_ms": 7}, "it answered 500"),
        ({"errorMessage": "x", "errorType": "y"}, "its log says why"),
    ],
)
def test_a_test_event_that_is_not_taken_says_why(
    operator: Operator, answer: dict[str, Any], told: str
) -> None:
    one = added(operator)
    operator.clients["invoke"] = lambda *_: answer
    ended = operator(f"webhooks test {one['id']}")
    assert ended.exit_code == Exit.REFUSED
    assert told in ended.out


def test_a_replay_sends_all_that_happened_to_a_refund(operator: Operator, world: World) -> None:
    one, refund = added(operator), world.refund("order-1").refund
    told = operator.json(f"webhooks replay {one['id']} {refund.id}")
    assert told["refunds"] == [refund.id]
    bell, cursors = operator.webhooks.bell, operator.webhooks.cursors
    assert isinstance(bell, MemoryBell)
    assert isinstance(cursors, MemoryCursors)
    assert bell.rung == [(refund.id, one["id"])]
    cursor = cursors.cursor(refund.id, one["id"])
    assert isinstance(cursor, Cursor)
    assert (cursor.delivered_sequence, cursor.is_owed) == (0, True)
    operator.done(f"webhooks replay {one['id']} {refund.id} --from 3")
    assert cursors.rows[refund.id, one["id"]].cursor.delivered_sequence == 2


def test_a_replay_of_what_failed_begins_at_the_line_that_failed(
    operator: Operator, world: World
) -> None:
    one, refund = added(operator), world.refund("order-1").refund
    sqs = FakeSqs()
    operator.clients["sqs"] = sqs
    sqs.put("webhook-dead", message_text(refund.id, one["id"], 4), reason="it answered 500")
    sqs.put("webhook-dead", message_text(refund.id, one["id"], 2), reason="it answered 500")
    sqs.put("webhook-dead", message_text("rfd_other", "we_ffffffffffffffff", 2), reason="x")
    sqs.put("webhook-dead", "nonsense", reason="the message is not JSON")
    assert operator.json(f"webhooks replay {one['id']} --failed")["refunds"] == [refund.id]
    cursor = operator.webhooks.cursors.cursor(refund.id, one["id"])
    assert cursor is not None
    assert cursor.delivered_sequence == 1
    rows = operator.json("dlq list --queue webhooks")
    assert [row["reason"] for row in rows][:2] == ["it answered 500"] * 2
    assert rows[0]["refund_id"] == refund.id
    operator.done("dlq discard --queue webhooks --yes")
    assert sqs.bodies("webhook-dead") == []


def test_a_replay_names_refunds_or_says_failed(operator: Operator) -> None:
    one = added(operator)
    for line in ("", "rfd_1 --failed"):
        ended = operator(f"webhooks replay {one['id']} {line}")
        assert ended.exit_code == Exit.MISUSED


def test_a_replay_of_what_the_ledger_has_not_sends_nothing(operator: Operator) -> None:
    one = added(operator)
    missing = refund_id_of("never", STAGE)
    assert operator(f"webhooks replay {one['id']} {missing}").exit_code == Exit.REFUSED
    assert operator.webhooks.cursors.cursor(missing, one["id"]) is None


def test_a_replay_to_one_that_is_disabled_is_refused(operator: Operator, world: World) -> None:
    one, refund = added(operator), world.refund("order-1").refund
    operator.done(f"webhooks disable {one['id']}")
    ended = operator(f"webhooks replay {one['id']} {refund.id}")
    assert ended.exit_code == Exit.REFUSED
    assert "webhooks enable" in ended.err


def test_the_list_says_what_is_owed_and_since_when(operator: Operator, world: World) -> None:
    one, refund = added(operator), world.refund("order-1").refund
    now_ms = world.clock.now_ms()
    operator.webhooks.cursors.owe(
        refund.id, one["id"], after_sequence=0, now_ms=now_ms, check_at_ms=now_ms + 7_200_000
    )
    (row,) = listed(operator)
    assert row["owed"] == 1
    assert row["oldest_owed_at"].startswith("2023-11-14T22:13:20")


def test_the_oldest_is_as_old_as_what_is_owed_now(operator: Operator, world: World) -> None:
    # Given a refund of which all was told once
    one, refund = added(operator), world.refund("order-1").refund
    cursors, now_ms = operator.webhooks.cursors, world.clock.now_ms()
    owing: Any = {"after_sequence": 0, "check_at_ms": now_ms + 7_200_000}
    cursors.owe(refund.id, one["id"], now_ms=now_ms, **owing)
    taken = cursors.take(refund.id, one["id"], now_ms=now_ms, until_ms=now_ms + 1000)
    assert isinstance(taken, Cursor)
    cursors.done(taken)
    # When more of it comes to be owed an hour later
    cursors.owe(refund.id, one["id"], now_ms=now_ms + 3_600_000, **owing)
    # Then it is owed since then
    assert listed(operator)[0]["oldest_owed_at"].startswith("2023-11-14T23:13:20")


class TestDoctor:
    """What `doctor` finds of addresses."""

    @pytest.fixture
    def findings(self, operator: Operator, monkeypatch: pytest.MonkeyPatch) -> Any:
        """The findings of the addresses alone, by what was found."""
        from refundctl import doctor  # noqa: PLC0415 - patched, so taken as a module

        monkeypatch.setattr(doctor, "CHECKS", (doctor.CHECKS[-2],))
        assert doctor.CHECKS[0][0] == "webhooks"

        def found(options: str = "") -> dict[str, tuple[str, str]]:
            value = _value(operator, f"doctor {options} --json")
            return {one["check"]: (one["level"], one["found"]) for one in value["findings"]}

        return found

    def test_one_that_takes_events_is_well(self, operator: Operator, findings: Any) -> None:
        one = added(operator)
        assert findings() == {f"webhooks to {one['id']}": ("ok", "took 0, owes 0")}

    def test_one_that_is_disabled_is_a_warning(self, operator: Operator, findings: Any) -> None:
        one = added(operator)
        operator.done(f"webhooks disable {one['id']}")
        level, found = findings()[f"webhooks to {one['id']}"]
        assert (level, found) == ("warn", "is disabled: by an operator")

    def test_one_that_is_closed_is_a_warning(
        self, operator: Operator, world: World, findings: Any
    ) -> None:
        one, states = added(operator), operator.webhooks.states
        assert isinstance(states, MemoryAddressStates)
        states.close(states.kept[one["id"]], until_ms=world.clock.now_ms() + 1000)
        assert findings()[f"webhooks to {one['id']}"][0] == "warn"

    def test_one_without_its_parameter_is_a_failure(
        self, operator: Operator, findings: Any
    ) -> None:
        one = added(operator)
        operator.webhooks.store.remove(one["id"])
        assert findings()[f"webhooks to {one['id']}"][0] == "fail"

    def test_only_on_request_it_sends_test_events(self, operator: Operator, findings: Any) -> None:
        one = added(operator)
        operator.clients["invoke"] = lambda *_: {"taken": True, "reason": None, "took_ms": 9}
        assert f"test event to {one['id']}" not in findings()
        assert findings("--webhooks")[f"test event to {one['id']}"] == ("ok", "taken in 9 ms")
        operator.clients["invoke"] = lambda *_: {"taken": False, "reason": "no answer"}
        assert findings("--webhooks")[f"test event to {one['id']}"] == ("fail", "no answer")


def _value(operator: Operator, line: str) -> Any:
    return operator(line).value
