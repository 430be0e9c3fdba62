"""What was written about a customer is reduced to a digest: it can be compared, and not be read."""

import json
from dataclasses import replace
from typing import Any

import pytest

from refund_bridge.adapters.dynamodb.items import refund_item
from refund_bridge.domain.charge import ProcessorRefundStatus
from refund_bridge.domain.errors import IdempotencyKeyReusedError, RefundNotFoundError
from refund_bridge.domain.forgotten import digest_of, is_of
from refund_bridge.domain.instruction import UnlinkedInstruction
from refund_bridge.domain.refund_request import PaymentMethodKind, ReferenceType, RefundType
from refund_bridge.domain.state_machine import Event, State
from refund_bridge.domain.transitions import transition
from refund_bridge.ports.ledger import LedgerConflictError
from refundctl.deciding.forget import ForgetWords, NeededStillError
from tests.contract.ledger.examples import a_refund, a_request, why
from tests.fakes.processor_fates import Answered, Conduct, NotSent, RequestLost
from tests.fakes.world import STEP_MS, World

CUSTOMER = {"email": "kim@example.com", "nationalId": "S1234567D"}
WORDS: dict[str, Any] = {"reason": "Kim Tan called", "metadata": {"name": "Kim Tan"}}


@pytest.fixture
def desk() -> World:
    """A processor that sends money to cards."""
    world = World(doors=("ccg",))
    world.processor.books.methods["card-1"] = PaymentMethodKind.CARD
    return world


def payout(**more: Any) -> dict[str, Any]:
    return {
        "record": "card-1",
        "reference_type": ReferenceType.PAYMENT_METHOD,
        "customer": CUSTOMER,
        "amount": 2500,
        "currency": "usd",
        "processor": "ccg",
    } | more


def forget(world: World) -> ForgetWords:
    return ForgetWords(
        recorder=world.settle.recorder,
        clock=world.clock,
        actor="operator:kim",
    )


def says(world: World, key: str = "k") -> str:
    """All that the ledger's item of the refund says."""
    return json.dumps(refund_item(world.stored(key)))


def told(world: World) -> list[Any]:
    """The customers that the processor was told, instruction by instruction."""
    return [
        one.customer for one in world.processor.instructions if isinstance(one, UnlinkedInstruction)
    ]


class TestDigests:
    def test_it_tells_the_same_words_and_no_others(self) -> None:
        made = digest_of(CUSTOMER, "salt")
        assert is_of(made, dict(reversed(CUSTOMER.items())))
        assert not is_of(made, CUSTOMER | {"email": "lee@example.com"})
        assert not is_of(made, {})
        assert not is_of(made, None)

    def test_the_same_words_have_another_digest_in_another_refund(self) -> None:
        assert digest_of("x", "one") != digest_of("x", "two")

    def test_the_salt_is_part_of_what_is_digested(self) -> None:
        # Given the same words in two refunds, then what follows the salts differs as well
        made = {digest_of({"email": "kim@example.com"}, salt).rpartition(":")[2] for salt in "ab"}
        assert len(made) == 2

    def test_it_does_not_hold_the_words(self) -> None:
        assert "kim" not in digest_of("kim", "salt")

    @pytest.mark.usefixtures("cost_as_deployed")
    def test_the_digest_of_the_same_words_is_the_same_in_every_release(self) -> None:
        assert digest_of(CUSTOMER, "salt") == "salt:52cb751749c4e3169d7069286959f136"


class TestCustomersOfPayouts:
    """Whose card it was is kept for as long as the instruction may be sent."""

    def test_after_a_success_only_a_digest_is_left(self, desk: World) -> None:
        desk.refund("k", **payout())
        assert told(desk) == [CUSTOMER]
        assert "kim@example.com" not in says(desk)
        assert "S1234567D" not in says(desk)

    @pytest.mark.parametrize("fate", [Answered(422, "No."), NotSent()])
    def test_after_a_refusal_and_where_nothing_was_sent_as_well(
        self, desk: World, fate: Answered | NotSent
    ) -> None:
        desk.processor.fates.append(fate)
        desk.refund("k", **payout())
        assert desk.stored("k").state in (State.REJECTED, State.ABORTED)
        assert "S1234567D" not in says(desk)

    def test_what_waits_and_what_is_not_known_can_still_be_sent(self, desk: World) -> None:
        # Given a payout that waits for its turn
        desk.refund("k", **payout(refund_type=RefundType.SCHEDULED))
        assert desk.stored("k").request.customer == CUSTOMER
        # And one whose instruction may not have arrived
        desk.processor.fates.append(RequestLost())
        desk.refund("l", **payout())
        assert desk.stored("l").state is State.UNKNOWN
        # When settling sends both, then the processor is told whose card it is
        desk.settle_for(10 * STEP_MS)
        assert {desk.stored(key).state for key in "kl"} == {State.SUCCEEDED}
        assert told(desk)
        assert all(customer == CUSTOMER for customer in told(desk))
        # And then it is gone
        assert "S1234567D" not in says(desk, "k") + says(desk, "l")

    def test_one_that_the_processor_has_not_finished_is_not_sent_again(self, desk: World) -> None:
        desk.processor.books.conduct = Conduct(ProcessorRefundStatus.PENDING)
        desk.refund("k", **payout())
        assert desk.stored("k").state is State.PENDING
        assert "S1234567D" not in says(desk)

    def test_the_same_request_is_still_the_same_and_another_is_refused(self, desk: World) -> None:
        desk.refund("k", **payout())
        assert desk.refund("k", **payout()).replayed
        for other in ({"nationalId": "S7654321A"}, {}):
            with pytest.raises(IdempotencyKeyReusedError):
                desk.refund("k", **payout(customer=other))
        assert len(desk.processor.instructions) == 1

    def test_what_was_not_sent_is_sent_for_whom_its_caller_names_again(self, desk: World) -> None:
        # Given a payout that certainly was not sent, so that its customer is not kept
        desk.processor.fates.append(NotSent())
        desk.refund("k", **payout())
        with pytest.raises(IdempotencyKeyReusedError):
            desk.refund("k", **payout(customer={"nationalId": "S7654321A"}))
        # When its caller repeats it
        done = desk.refund("k", **payout()).refund
        # Then it goes to that very customer
        assert done.state is State.SUCCEEDED
        assert told(desk) == [CUSTOMER] * 2
        assert "S1234567D" not in says(desk)

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            # One id, two tokens: whoever knows the id cannot make its digests in advance.
            ({"id": "rfd_1", "token": "first"}, {"id": "rfd_1", "token": "second"}),
            # Two refunds whose calls left no token.
            ({"id": "rfd_1", "token": ""}, {"id": "rfd_2", "token": ""}),
        ],
        ids=["token", "id"],
    )
    def test_the_same_customer_has_another_digest_in_another_refund(
        self, one: dict[str, Any], other: dict[str, Any]
    ) -> None:
        request = a_request(customer=CUSTOMER)
        left = [
            transition(a_refund(request=request, **facts), Event.REJECT, why("refused"))
            for facts in (one, other)
        ]
        assert left[0].request.forgotten != left[1].request.forgotten
        assert all(is_of(made.request.forgotten["customer"], CUSTOMER) for made in left)


class TestForgetting:
    """A person takes a caller's words out of a refund."""

    def test_words_go_and_what_moved_stays(self, world: World) -> None:
        before = world.refund("k", amount=2500, **WORDS).refund
        done = forget(world).carry_out(before.id).refund
        stored = world.stored("k")
        assert stored == done
        assert "Kim Tan" not in says(world)
        assert (stored.request.reason, stored.request.metadata) == (None, {})
        assert (stored.state, stored.amount, stored.report) == (
            before.state,
            before.amount,
            before.report,
        )
        # And the history says by whom, and what
        line = stored.history[-1]
        assert (line.cause, line.actor) == ("forgotten", "operator:kim")
        assert line.evidence == {"members": ["metadata", "reason"]}
        assert stored.history[:-1] == before.history

    def test_its_key_is_compared_as_before(self, world: World) -> None:
        refund = world.refund("k", amount=2500, **WORDS).refund
        forget(world).carry_out(refund.id)
        assert world.refund("k", amount=2500, **WORDS).replayed
        for other in ({}, WORDS | {"reason": "Lee called"}, WORDS | {"metadata": {}}):
            with pytest.raises(IdempotencyKeyReusedError):
                world.refund("k", amount=2500, **other)

    def test_again_writes_nothing(self, world: World) -> None:
        refund = world.refund("k", amount=2500, **WORDS).refund
        once = forget(world).carry_out(refund.id).refund
        assert forget(world).carry_out(refund.id).refund == once
        assert world.stored("k").revision == once.revision

    def test_what_a_former_release_kept_of_a_payouts_customer_goes_too(self, desk: World) -> None:
        refund = desk.refund("k", **payout(**WORDS)).refund
        kept = replace(refund.request, customer=CUSTOMER, forgotten={})
        desk.ledger.refunds[refund.id] = replace(refund, request=kept)
        forget(desk).carry_out(refund.id)
        assert "S1234567D" not in says(desk)
        assert desk.stored("k").history[-1].evidence["members"] == [
            "customer",
            "metadata",
            "reason",
        ]
        assert desk.refund("k", **payout(**WORDS)).replayed

    def test_what_may_still_be_sent_keeps_its_words(self, world: World) -> None:
        waits = world.refund("k", amount=100, refund_type=RefundType.SCHEDULED, **WORDS).refund
        with pytest.raises(NeededStillError, match="may still be sent"):
            forget(world).carry_out(waits.id)
        assert world.stored("k") == waits

    def test_a_credit_note_that_is_due_still_says_why(self) -> None:
        world = World(credit_notes=True)
        invoice = world.pay_invoice()
        asked = {"reference_type": ReferenceType.INVOICE, "record": invoice}
        refund = world.refund("k", amount=2500, **asked, **WORDS).refund
        world.notes.is_down = True
        world.live_for(STEP_MS)
        with pytest.raises(NeededStillError, match="credit note"):
            forget(world).carry_out(refund.id)

    def test_a_refund_that_is_not_there(self, world: World) -> None:
        with pytest.raises(RefundNotFoundError):
            forget(world).carry_out("rfd_never")

    def test_one_that_keeps_changing_is_left(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        refund = world.refund("k", amount=2500, **WORDS).refund

        def changed(*_: object) -> None:
            raise LedgerConflictError("x")

        monkeypatch.setattr(world.ledger, "commit", changed)
        with pytest.raises(NeededStillError, match="keeps changing"):
            forget(world).carry_out(refund.id)
        assert world.stored("k") == refund
