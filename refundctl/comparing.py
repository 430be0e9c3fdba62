"""Reads payments in the ledger, at the processor and at Stripe, and compares the three.

It reads slowly, so that refunds keep their share of the providers' rate limits. Refunds go on
while it reads, so the three sides are never of one moment. Therefore it reads the ledger before and
after the providers, and tells a difference only if a second reading shows it again.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar

from refund_bridge.adapters.providers.pace import Pace
from refund_bridge.domain.charge import Charge
from refund_bridge.domain.payment import Payment, PaymentKey
from refund_bridge.domain.payment_record import PaymentRecord
from refund_bridge.domain.refund import STRIPE, Refund
from refund_bridge.ports.processor import ChargeNotFoundError, ProviderUnavailableError
from refund_bridge.ports.stripe import StripeObjectNotFoundError
from refund_bridge.refunding.look_up import charge_of
from refundctl import walk
from refundctl.deciding.reconcile import Comparison, Difference, Sides, compare, unknown_charge
from refundctl.world import World

READS = 3
TRIES = 4
# The longest wait before the next try, even if a provider asks for a longer one.
WAIT_SECONDS_MAX = 30
WAIT_SECONDS = 2
# After this many payments in a row without an answer, the comparison stops.
SILENT_MAX = 5
THREADS = 6
# The merchant's reference of a payment begins so if it names a PaymentIntent.
TRACE = "pi_"

_A = TypeVar("_A")


class SilentProviderError(Exception):
    """A side could not be read, after all tries."""


class NotSetUpError(SilentProviderError):
    """The payment's processor is not set up here; payments of others can still be compared."""


@dataclass(frozen=True)
class Compared:
    """The result for one payment; `trouble` says why it could not be compared.

    `is_silent` is whether somebody was asked and gave no answer.
    """

    key: PaymentKey
    found: Comparison
    trouble: str = ""
    is_silent: bool = False


@dataclass(frozen=True, kw_only=True)
class Comparer:
    """Compares payments, some at a time.

    Attributes:
        per_second: calls a second to each provider.
        grace_ms: for how long something that is not final is no difference.
    """

    world: World
    per_second: int
    grace_ms: int
    sleep: Callable[[float], None] = field(default_factory=lambda: time.sleep)

    def all(self, keys: Sequence[PaymentKey]) -> Iterator[Compared]:
        """Compare payments, in any order.

        Raises:
            SilentProviderError: too many payments in a row got no answer.
        """
        paced = _Paced(Pace(self.per_second), Pace(self.per_second))
        silent = 0
        with ThreadPoolExecutor(THREADS) as pool:
            # Handed over in small portions, so that stopping does not wait for all of them.
            for start in range(0, len(keys), THREADS):
                portion = keys[start : start + THREADS]
                for compared in pool.map(partial(self._one, paced), portion):
                    silent = silent + 1 if compared.is_silent else 0
                    yield compared
                    if silent >= SILENT_MAX:
                        raise SilentProviderError(compared.trouble)

    def unknown(self, charges_max: int) -> Iterator[Difference]:
        """Refunded charges among the newest that name a PaymentIntent and that the ledger lacks.

        Raises:
            SilentProviderError: the list could not be read.
        """
        pace = Pace(self.per_second)
        for name, processor in self.world.processors.items():
            if name == STRIPE or not processor.capabilities.lists_charges:
                continue
            cursor, seen = None, 0
            while seen < charges_max:
                ask = partial(processor.charges, cursor)
                page = self._patiently(pace, lambda ask=ask: ask(self.world.deadline()))  # type: ignore[misc]
                seen += len(page.charges)
                keys = [PaymentKey(name, one.id) for one in page.charges if one.refunded != 0]
                known = self.world.listing.payments(keys) if keys else {}
                for key in keys:
                    if key not in known:
                        yield from self._traced(pace, key)
                cursor = page.cursor
                if cursor is None:
                    break

    def _traced(self, pace: Pace, key: PaymentKey) -> Iterator[Difference]:
        processor, world = self.world.processors[key.processor], self.world
        try:
            charge = self._patiently(
                pace, lambda: processor.charge(key.charge_id, world.deadline())
            )
        except ChargeNotFoundError:
            return
        reference = self._patiently(pace, lambda: processor.reference_of(charge, world.deadline()))
        if (reference or "").startswith(TRACE):
            yield unknown_charge(charge, reference or "")

    # --- one payment ------------------------------------------------------------------------------

    def _one(self, paced: "_Paced", key: PaymentKey) -> Compared:
        try:
            first = self._look(paced, key)
            if not first.differences:
                return Compared(key, first)
            # A difference that is gone at the second reading was only a change on its way.
            again = self._look(paced, key)
        except SilentProviderError as error:
            is_silent = not isinstance(error, NotSetUpError)
            return Compared(key, Comparison((), 0), str(error), is_silent)
        seen = {_name(one) for one in first.differences}
        lasting = tuple(one for one in again.differences if _name(one) in seen)
        return Compared(key, replace(again, differences=lasting))

    def _look(self, paced: "_Paced", key: PaymentKey) -> Comparison:
        world = self.world
        for _ in range(READS):
            payment = world.ledger.payment(key)
            if payment is None:
                raise SilentProviderError(f"the ledger does not show the payment {key.charge_id}")
            sides = self._sides(paced, payment)
            after = world.ledger.payment(key)
            if after is not None and after.revision == payment.revision:
                break
        return compare(sides)

    def _sides(self, paced: "_Paced", payment: Payment) -> Sides:
        world, key = self.world, payment.key
        refunds = walk.of_payment(world.listing, key)
        charge = self._charge(paced.processor, payment, refunds)
        record = self._record(paced.stripe, payment)
        processor_refunds = (charge.processor_refunds if charge is not None else None) or ()
        return Sides(
            payment=payment,
            refunds=refunds,
            charge=charge,
            claimed=world.ledger.claimed(key.processor, [one.id for one in processor_refunds]),
            record=record,
            now_ms=world.clock.now_ms(),
            grace_ms=self.grace_ms,
        )

    def _charge(self, pace: Pace, payment: Payment, refunds: Sequence[Refund]) -> Charge | None:
        name, world = payment.key.processor, self.world
        if name not in world.processors:
            raise NotSetUpError(f"{name} is not set up here")
        processor = world.processors[name]
        try:
            return self._patiently(
                pace, lambda: charge_of(processor, payment, refunds, world.deadline())
            )
        except ChargeNotFoundError:
            return None

    def _record(self, pace: Pace, payment: Payment) -> PaymentRecord | None:
        name = payment.payment_record
        if name is None:
            return None
        try:
            return self._patiently(
                pace, lambda: self.world.stripe_reports.payment_record(name, self.world.deadline())
            )
        except StripeObjectNotFoundError:
            return None

    def _patiently(self, pace: Pace, ask: Callable[[], _A]) -> _A:
        """The answer, after a few tries; between them it waits as long as the provider asks."""
        trouble = ""
        for _ in range(TRIES):
            pace.wait()
            try:
                return ask()
            except ProviderUnavailableError as error:
                trouble = error.reason
                self.sleep(min(error.retry_after_s or WAIT_SECONDS, WAIT_SECONDS_MAX))
        raise SilentProviderError(trouble)


@dataclass(frozen=True)
class _Paced:
    processor: Pace
    stripe: Pace


def _name(difference: Difference) -> tuple[object, ...]:
    return difference.kind, difference.refund_id, difference.processor_refund_id
