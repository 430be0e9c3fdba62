"""Each real adapter at its simulator, over HTTP."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import MappingProxyType

from local.simulators import ccg as ccg_simulator
from local.simulators import hedge as hedge_simulator
from local.simulators import hitpay as hitpay_simulator
from local.simulators import hyperswitch as hyperswitch_simulator
from local.simulators import stripe as stripe_simulator
from local.simulators.client import SimulatorControl
from local.simulators.currency import major
from local.simulators.json_text import JsonObject
from local.simulators.seeding import Seed
from refund_bridge.adapters.http.client import DeadlineHttp, Limits
from refund_bridge.domain.charge import ProcessorRefundStatus
from refund_bridge.domain.instruction import CredentialRefused, Unknown
from refund_bridge.domain.money import Money, money_from_major
from refund_bridge.domain.refund_request import PaymentMethodKind
from refund_bridge.ports.processor import Processor
from refund_bridge.ports.runtime import Deadline
from refund_bridge.processors.ccg.adapter import Ccg, CcgSettings
from refund_bridge.processors.ccg.objects import AmountUnit
from refund_bridge.processors.hedge.adapter import Hedge
from refund_bridge.processors.hitpay.adapter import HitPay
from refund_bridge.processors.hyperswitch.adapter import Hyperswitch
from refund_bridge.processors.stripe.adapter import StripePayments
from tests.contract.processor.worlds import Traits
from tests.contract.real_time import FixedKey, RealClock, closed_port_url, wait_until
from tests.descriptions.description import Description
from tests.descriptions.hitpay_api import HitPayApi
from tests.descriptions.overseen_http import OverseenHttp
from tests.descriptions.stripe_api import StripeApi


class SimulatedWorld(ABC):
    """What all of them share: faults are the simulators', and refunds are made over HTTP."""

    provider: str
    reads: tuple[str, ...] = ("refund.read", "charge.read")
    payment_words: Mapping[str, str] = MappingProxyType({})
    refund_words: Mapping[str, str] = MappingProxyType({})
    traits = Traits()
    api: Description | None = None

    def __init__(self, control: SimulatorControl) -> None:
        self.control = control
        self.url = control.urls[self.provider]
        self._clock = RealClock()
        self.http = self.caller(Limits(exchange_ms=1_000))
        self.processor = self.adapter(self.url)

    def close(self) -> None:
        self.http.close()

    def caller(self, limits: Limits) -> DeadlineHttp:
        """By which the processor is asked; against its API's description where there is one."""
        if self.api is None:
            return DeadlineHttp(self._clock, limits=limits)
        return OverseenHttp(self._clock, self.control, self.api, limits=limits)

    @abstractmethod
    def adapter(self, url: str) -> Processor: ...

    @abstractmethod
    def error_body(self, status: int, message: str) -> JsonObject:
        """A refusal in the processor's own form."""

    def deadline(self) -> Deadline:
        return Deadline.after(self._clock, 10_000)

    def count_in(self, currency: str) -> None:  # noqa: B027
        """It counts in any."""

    def units(self, money: Money) -> int:
        """The amount as the processor counts it."""
        return money.amount

    def money(self, units: int, currency: str) -> Money:
        return Money(units, currency)

    def status_word(self, status: str) -> str:
        return self.payment_words.get(status, status)

    def add_charge(
        self, name: str, money: Money, *, status: str = "succeeded", comes_back: str = "succeeded"
    ) -> None:
        payment: JsonObject = {
            "id": name,
            "amount": self.units(money),
            "currency": money.currency,
            "status": self.status_word(status),
            "refunds_come_back": self.refund_words.get(comes_back, comes_back),
        }
        self.control.seed_processor(self.provider, {"payments": [payment]})

    def add_payment_request(self, name: str, charges: list[str]) -> None:
        raise NotImplementedError

    def add_payment_method(self, name: str, kind: PaymentMethodKind) -> None:
        method = {"id": name, "kind": kind.value}
        self.control.seed_processor(self.provider, {"payment_methods": [method]})

    def unreachable(self) -> Processor:
        return self.adapter(closed_port_url())

    def lose_request(self) -> None:
        self.strike("lost_request")

    def lose_reply(self) -> None:
        self.strike("commit_then_reset")

    def spoil_reply(self, variant: str) -> None:
        self.strike("body", variant=variant)

    def execute_late(self) -> None:
        self.strike("late_commit", seconds=3600, hold_seconds=0)

    def wait_for_late(self) -> None:
        def has_arrived() -> bool:
            calls = self.control.calls(self.provider, "refund.create")
            return all(call.processed for call in calls if call.fault == "late_commit")

        self.control.let_late_arrive(self.provider)
        wait_until(has_arrived)

    def answer(self, status: int, message: str | None) -> None:
        body = "<html>no</html>" if message is None else self.error_body(status, message)
        self.strike("status", status=status, body=body)

    def strike(self, fault: str, **more: object) -> None:
        self.control.add_fault(self.provider, "refund.create", fault, **more)  # type: ignore[arg-type]

    def hide_refunds(self) -> None:
        for operation in self.reads:
            self.control.add_fault(self.provider, operation, "hide", times=None, what="refunds")

    def show_refunds(self) -> None:
        self.control.clear_faults()

    @abstractmethod
    def list_no_refunds(self) -> None: ...

    def allow_one_refund(self) -> None:
        self.control.set_processor(self.provider, refunds_max=1)

    def fail_look_ups(self) -> None:
        for operation in self.reads:
            self.control.add_fault(self.provider, operation, "status", times=None, status=503)

    def forget_how_to_read_keys(self) -> None:
        raise NotImplementedError

    def refund_in_dashboard(self, charge: str, money: Money) -> str:
        return self.control.refund_at_processor(self.provider, charge, self.units(money))

    def set_status(self, refund_id: str, status: ProcessorRefundStatus) -> None:
        word = self.refund_words.get(status.value, status.value)
        self.control.set_processor_refund(self.provider, refund_id, word)

    def moved(self, charge: str | None) -> list[int]:
        made = self.control.processor_refunds(self.provider)
        of_charge = [item for item in made if item.payment_id == charge]
        return [self.money(item.amount, item.currency).amount for item in of_charge]

    def asked(self) -> int:
        return len(self.control.calls(self.provider, "refund.create"))


class HitPayWorld(SimulatedWorld):
    provider = "hitpay"
    reads = ("charge.read", "refund.read", "payment_request.read")
    api = HitPayApi()

    def adapter(self, url: str) -> Processor:
        return HitPay(base_url=url, key=FixedKey(hitpay_simulator.DEFAULT_KEY), http=self.http)

    def error_body(self, status: int, message: str) -> JsonObject:
        return {"message": message}

    def add_charge(
        self, name: str, money: Money, *, status: str = "succeeded", comes_back: str = "succeeded"
    ) -> None:
        charge: JsonObject = {
            "id": name,
            "amount": str(major(money.amount, money.currency)),
            "currency": money.currency,
            "status": status,
            "refunds_come_back": comes_back,
        }
        self.control.seed(Seed(charges=(charge,)))

    def add_payment_request(self, name: str, charges: list[str]) -> None:
        request: JsonObject = {"id": name, "amount": "1.00", "currency": "sgd"}
        request["payment_ids"] = charges
        self.control.seed(Seed(payment_requests=(request,)))

    def list_no_refunds(self) -> None:
        self.control.set_hitpay(charge_refunds="absent")

    def allow_one_refund(self) -> None:
        self.control.set_hitpay(one_refund_per_payment=True)

    def refund_in_dashboard(self, charge: str, money: Money) -> str:
        amount = str(major(money.amount, money.currency))
        return self.control.dashboard_refund(charge, amount)

    def set_status(self, refund_id: str, status: ProcessorRefundStatus) -> None:
        self.control.set_refund_status(refund_id, status.value)

    def moved(self, charge: str | None) -> list[int]:
        made = self.control.refunds(charge)
        return [money_from_major(item.amount, item.currency).amount for item in made]


class HyperswitchWorld(SimulatedWorld):
    provider = "hyperswitch"
    payment_words = MappingProxyType({"pending": "processing", "void": "cancelled"})
    traits = Traits(says_method=False)

    def adapter(self, url: str) -> Processor:
        return Hyperswitch(base_url=url, key=FixedKey(hyperswitch_simulator.KEY), http=self.http)

    def error_body(self, status: int, message: str) -> JsonObject:
        return {"error": {"type": "invalid_request", "code": "IR_06", "message": message}}

    def units(self, money: Money) -> int:
        return money.amount // 100 if money.currency == "ugx" else money.amount

    def money(self, units: int, currency: str) -> Money:
        return Money(units * 100 if currency == "ugx" else units, currency)

    def list_no_refunds(self) -> None:
        raise NotImplementedError

    def forget_how_to_read_keys(self) -> None:
        self.control.add_fault(self.provider, "refund.read", "status", times=None, status=501)


class HedgeWorld(SimulatedWorld):
    provider = "hedge"
    reads = ("charge.read",)
    payment_words = MappingProxyType({"void": "canceled"})
    traits = Traits(
        says_when_moved=False,
        refused_currencies=frozenset({"jpy", "kwd"}),
        more_refusals=(412,),
    )

    def adapter(self, url: str) -> Processor:
        return Hedge(base_url=url, key=FixedKey(hedge_simulator.KEY), http=self.http)

    def error_body(self, status: int, message: str) -> JsonObject:
        return {"error": {"code": "refused", "message": message}}

    def list_no_refunds(self) -> None:
        self.control.set_processor(self.provider, payment_refunds="absent")


class CcgWorld(SimulatedWorld):
    provider = "ccg"
    reads = ("refund.read", "refund.find")
    refund_words = MappingProxyType(
        {"succeeded": "COMPLETED", "pending": "INITIATED", "failed": "FAILED"}
    )
    payment_words = MappingProxyType({**refund_words, "void": "CANCELED"})
    traits = Traits(says_when_moved=False, says_when_made=False, unknown_payment_status=400)

    def __init__(self, control: SimulatorControl) -> None:
        self._currency = "sgd"
        super().__init__(control)
        control.set_processor(self.provider, currency="sgd")

    def adapter(self, url: str) -> Processor:
        settings = CcgSettings(
            url=url,
            merchant_id=ccg_simulator.MERCHANT,
            amount_unit=AmountUnit.MINOR,
            currency=self._currency,
        )
        return Ccg(settings, key=FixedKey(ccg_simulator.KEY), http=self.http)

    def count_in(self, currency: str) -> None:
        self._currency = currency
        self.processor = self.adapter(self.url)
        self.control.set_processor(self.provider, currency=currency)

    def error_body(self, status: int, message: str) -> JsonObject:
        return {"title": "INVALID_REQUEST", "status": status, "detail": message}

    def list_no_refunds(self) -> None:
        raise NotImplementedError

    def forget_how_to_read_keys(self) -> None:
        self.control.set_processor(self.provider, look_up="absent")


class StripeWorld(SimulatedWorld):
    provider = "stripe"
    reads = ("refund.read", "refund.find", "charge.read")
    payment_words = MappingProxyType({"void": "failed"})
    api = StripeApi()
    traits = Traits(
        says_when_moved=False,
        says_method=False,
        no_refusals={403: CredentialRefused, 422: Unknown},
        replays_for_a_day=True,
    )

    def adapter(self, url: str) -> Processor:
        key = FixedKey(stripe_simulator.DEFAULT_TEST_KEY)
        return StripePayments(base_url=url, key=key, http=self.http)

    def error_body(self, status: int, message: str) -> JsonObject:
        return {"error": {"type": "invalid_request_error", "message": message}}

    def list_no_refunds(self) -> None:
        raise NotImplementedError


WORLDS: dict[str, type[SimulatedWorld]] = {
    world.provider: world
    for world in (HitPayWorld, HyperswitchWorld, HedgeWorld, CcgWorld, StripeWorld)
}
