"""Which charge of which processor does a Stripe object book? Asked before anything is reserved.

Step 1 and 2 of the flow: Stripe's Payment Record is read, the processor's charge is read (beside it
once the link is known), and the two must agree before money is asked to move.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from refunds.agreement import (
    require_agreement,
    require_currency,
    require_mode,
    require_refundable_record,
)
from refunds.errors import (
    PaymentLinkConflictError,
    PaymentNotFoundError,
    PaymentNotLinkedError,
    ProcessorUnavailableError,
    StripeUnavailableError,
)
from refunds.payment import PaymentKey, unlinked_payment_key
from refunds.ports import (
    Book,
    Charge,
    ChargeNotFoundError,
    Deadline,
    Ledger,
    PaymentRecord,
    Processor,
    ProviderUnavailableError,
    StripeObjectNotFoundError,
    StripeReference,
    Together,
)
from refunds.refund import ReferenceType, RefundRequest

# As any processor's; nothing that means something in a URL or in the ledger's keys is among these.
_CHARGE_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,255}", re.ASCII)

RECORD_ID_KEY: Final = "stripe_payment_record_id"

# What a caller is told to wait when a provider is down and did not say how long.
UNAVAILABLE_RETRY_AFTER_S: Final = 5


class VerifyCharge(StrEnum):
    """When the processor's charge is read before a refund: always, at first sight, or never."""

    ALWAYS = "always"
    FIRST = "first"
    NEVER = "never"


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentView:
    """A payment as it was just seen, as far as the ledger's bookkeeping goes.

    Attributes:
        payment_record: ``None`` if no Payment Record is known to book it.
        captured: what the customer paid, minor units.
        in_book: what Stripe shows as refunded, minor units; ``None`` if Stripe was not asked.
        charge: ``None`` if the charge was not read (see ``VerifyCharge``).
        instead_of: the payment that the record was linked to by mistake, if it was.
    """

    key: PaymentKey
    payment_record: str | None
    currency: str
    captured: int
    in_book: int | None
    charge: Charge | None
    instead_of: PaymentKey | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """What a request leads to, as Stripe and the processor showed it a moment ago.

    Attributes:
        view: the payment; the two agree on it.
        report_to: the Payment Record that a refund of it is reported to, if any.
    """

    view: PaymentView
    report_to: str | None
    payment_intent: str | None = None
    invoice: str | None = None

    @property
    def key(self) -> PaymentKey:
        """The payment's identity."""
        return self.view.key


@dataclass(frozen=True, slots=True)
class _Lead:
    """Where the caller's reference leads: a record, and a charge if something already names one."""

    record_id: str
    key: PaymentKey | None
    known: bool
    payment_intent: str | None = None
    invoice: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkResolver:
    """Follows a caller's reference to the Payment Record and the charge behind it.

    Attributes:
        processors: those that are set up, by name.
        names: of all processors that there are: metadata may name one that is not set up.
        in_doubt: whether the processor of that name failed a moment ago.
    """

    ledger: Ledger
    book: Book
    processors: Mapping[str, Processor]
    names: Sequence[str]
    together: Together
    verify_charge: VerifyCharge
    livemode: bool
    in_doubt: Callable[[str], bool]

    def sight(
        self, request: RefundRequest, claimed: PaymentKey | None, deadline: Deadline
    ) -> Sighting:
        """The payment that ``request`` names, read at Stripe and at the processor, and checked.

        ``claimed`` is the payment that the ledger knows for the Payment Record, if any. Nothing is
        written and nothing is sent that moves money.

        Raises:
            PaymentNotFoundError, PaymentNotLinkedError, PaymentLinkConflictError,
            PaymentNotRefundableError, CurrencyMismatchError: as the contract says.
            StripeUnavailableError, ProcessorUnavailableError: no usable answer in time.
            LedgerUnavailableError: the ledger could not be read.
        """
        try:
            lead = self._lead(request, claimed, deadline)
            record, key, charge = self._read(lead, request, deadline)
        except ChargeNotFoundError as error:
            raise PaymentNotFoundError(
                "The processor knows no payment of the id that the Stripe object carries."
            ) from error
        require_mode(record.livemode, livemode=self.livemode, named="The Payment Record")
        require_refundable_record(record)
        require_currency(request.currency, record)
        if charge is not None:
            key = PaymentKey(key.processor, charge.id)
            require_agreement(record, charge)
        elif key.is_unlinked and not request.is_unlinked:
            raise PaymentNotLinkedError(
                "The Payment Record books unlinked refunds; it names no payment.",
                details={
                    "object": record.id,
                    "missing": "processor payment id",
                    "expected_in": [f"metadata.{key.processor}_payment_id"],
                },
            )
        view = PaymentView(
            key=key,
            payment_record=record.id,
            currency=record.currency,
            captured=record.captured,
            in_book=record.amount_refunded,
            charge=charge,
        )
        return Sighting(
            view=view,
            report_to=record.id,
            payment_intent=lead.payment_intent,
            invoice=lead.invoice,
        )

    def _lead(
        self, request: RefundRequest, claimed: PaymentKey | None, deadline: Deadline
    ) -> _Lead:
        reference = request.report_to or request.reference_id
        if request.reference_type in (ReferenceType.PAYMENT_RECORD, ReferenceType.PAYMENT_METHOD):
            return _Lead(reference, claimed, known=claimed is not None)
        if request.reference_type is ReferenceType.PAYMENT_INTENT:
            with asking_stripe():
                intent = self.book.payment_intent(reference, deadline)
            record_id = self._record_id(intent, "PaymentIntent")
            claimed = self.ledger.payment_of_record(record_id)
            return _Lead(record_id, claimed, claimed is not None, payment_intent=intent.id)
        with asking_stripe():
            invoice = self.book.invoice(reference, deadline)
        record_id = self._record_id(invoice, "Invoice")
        found = self._payments_in(invoice.metadata)
        if len(found) > 1 and request.processor is None:
            # Which of them it is may have been said by an earlier refund.
            claimed = self.ledger.payment_of_record(record_id)
            return _Lead(record_id, claimed, claimed is not None, invoice=invoice.id)
        named = self._chosen(found, request.processor, invoice.id)
        return _Lead(record_id, named, known=False, invoice=invoice.id)

    def _record_id(self, reference: StripeReference, kind: str) -> str:
        require_mode(reference.livemode, livemode=self.livemode, named=f"The {kind}")
        record_id = reference.metadata.get(RECORD_ID_KEY)
        if not record_id:
            raise PaymentNotLinkedError(
                f"The {kind} does not name a Payment Record.",
                details={
                    "object": reference.id,
                    "missing": "Payment Record id",
                    "expected_in": [f"metadata.{RECORD_ID_KEY}"],
                },
            )
        return record_id

    def _read(
        self, lead: _Lead, request: RefundRequest, deadline: Deadline
    ) -> tuple[PaymentRecord, PaymentKey, Charge | None]:
        """The record and the charge; side by side when the charge's id is known beforehand."""
        named, asked = lead.key, request.processor
        if named is None:
            record = self._record(lead.record_id, deadline)
            key, charge = self._resolve(record, request, deadline)
        elif self._reads_charge(named, known=lead.known):
            record, found = self.together.both(
                lambda: self._record(lead.record_id, deadline),
                lambda: self._charge_if_any(named, deadline),
            )
            key = self._agreed(named, record, asked)
            if found is None or key != named:
                found = self._charge(key, deadline)
            charge = found
        else:
            record = self._record(lead.record_id, deadline)
            key, charge = self._agreed(named, record, asked), None
        return record, key, charge

    def _charge_if_any(self, key: PaymentKey, deadline: Deadline) -> Charge | None:
        """The charge; ``None`` if there is none, as where a link was a mistake."""
        try:
            return self._charge(key, deadline)
        except ChargeNotFoundError:
            return None

    def _reads_charge(self, key: PaymentKey, *, known: bool) -> bool:
        can = self.processor(key.processor).capabilities
        if not can.shows_payments or key.is_unlinked:
            return False
        if self.in_doubt(key.processor):
            # A processor that failed a moment ago is asked by a read first, never by the refund.
            return True
        if self.verify_charge is VerifyCharge.FIRST:
            return not known
        return self.verify_charge is VerifyCharge.ALWAYS

    def _payments_in(self, metadata: Mapping[str, str]) -> Mapping[str, PaymentKey]:
        """The payments that the metadata name, by the names of their processors."""
        found: dict[str, PaymentKey] = {}
        for name in self.names:
            for metadata_key in (f"{name}_payment_id", f"{name}_charge_id"):
                if written := metadata.get(metadata_key):
                    if not _CHARGE_ID.fullmatch(written):
                        raise PaymentNotLinkedError(
                            f"metadata.{metadata_key} is no id of a processor's payment.",
                            details={"missing": "processor payment id", "malformed": metadata_key},
                        )
                    found.setdefault(name, PaymentKey(name, written))
        return found

    def _chosen(
        self, found: Mapping[str, PaymentKey], asked: str | None, named_by: str
    ) -> PaymentKey | None:
        """The one payment of those that were found; ``None`` if there is none."""
        if asked is not None and asked in found:
            return found[asked]
        if found and (asked is not None or len(found) > 1):
            raise PaymentLinkConflictError(
                f"{named_by} names no payment of {asked}."
                if asked is not None
                else f"{named_by} names payments of several processors: say which with processor.",
                details={"object": named_by, "processors": list(found)},
            )
        return next(iter(found.values()), None)

    def _agreed(self, key: PaymentKey, record: PaymentRecord, asked: str | None) -> PaymentKey:
        """``key``, unless the record's metadata name another charge, or the caller another door."""
        found = self._payments_in(record.metadata)
        if asked not in (None, key.processor):
            raise PaymentLinkConflictError(
                f"The payment is linked to {key.processor}, not to {asked}.",
                details={"payment_record": record.id, "linked": key.processor, "named": asked},
            )
        if found and found.get(key.processor) != key:
            if self._is_unused(key, record.id):
                # The metadata have been mended; nothing moved under the link that they made.
                return self._chosen(found, asked, record.id) or key
            other = found.get(key.processor) or next(iter(found.values()))
            raise PaymentLinkConflictError(
                "The Payment Record names another charge than the one that it is linked to.",
                details={
                    "payment_record": record.id,
                    "linked": key.charge_id,
                    "named": other.charge_id,
                },
            )
        return key

    def _is_unused(self, key: PaymentKey, payment_record: str) -> bool:
        """Whether no money moved under the link of the two, so that it may have been a mistake."""
        payment = self.ledger.payment(key)
        if payment is None:
            return False
        return payment.payment_record != payment_record or payment.is_unused

    def _resolve(
        self, record: PaymentRecord, request: RefundRequest, deadline: Deadline
    ) -> tuple[PaymentKey, Charge | None]:
        """The charge by the record's own metadata, else by its payment reference."""
        asked = request.processor
        named = self._chosen(self._payments_in(record.metadata), asked, record.id)
        if named is not None:
            reads = self._reads_charge(named, known=False)
            return named, self._charge(named, deadline) if reads else None
        if request.is_unlinked and asked is not None:
            return unlinked_payment_key(asked, record.id), None
        name = self._shows_payments(asked)
        written = record.payment_reference or ""
        if name is None or not _CHARGE_ID.fullmatch(written):
            raise PaymentNotLinkedError(
                "The Payment Record does not name the processor's payment.",
                details={
                    "object": record.id,
                    "missing": "processor payment id",
                    "expected_in": [
                        *(f"metadata.{one}_payment_id" for one in self.processors),
                        "processor_details.custom.payment_reference",
                    ],
                },
            )
        # The reference holds a charge id in some integrations and a payment request's in others,
        # so only the processor can tell: it is read whatever ``verify_charge`` says.
        reference = PaymentKey(name, written)
        try:
            return reference, self._charge(reference, deadline)
        except ChargeNotFoundError:
            with asking_processor():
                charge_id = self.processor(name).charge_id_of(written, deadline)
            key = PaymentKey(name, charge_id)
            return key, self._charge(key, deadline)

    def _shows_payments(self, asked: str | None) -> str | None:
        """The processor that a payment reference is looked up at: the first, unless asked."""
        names = self.processors if asked is None else (asked,)
        shown = (name for name in names if self.processor(name).capabilities.shows_payments)
        return next(shown, None)

    def processor(self, name: str) -> Processor:
        """The processor of that name.

        Raises:
            PaymentNotLinkedError: this stage has none of that name.
        """
        if name not in self.processors:
            raise PaymentNotLinkedError(
                f"No processor {name} is set up here.",
                details={
                    "object": name,
                    "missing": "processor",
                    "expected_in": [f"{name.upper()}_URL"],
                },
            )
        return self.processors[name]

    def _record(self, record_id: str, deadline: Deadline) -> PaymentRecord:
        with asking_stripe():
            return self.book.payment_record(record_id, deadline)

    def _charge(self, key: PaymentKey, deadline: Deadline) -> Charge:
        with asking_processor():
            return self.processor(key.processor).charge(key.charge_id, deadline)


@contextmanager
def asking_stripe() -> Iterator[None]:
    """Say a failure to read at Stripe in the contract's words: nothing was executed."""
    try:
        yield
    except StripeObjectNotFoundError as error:
        raise PaymentNotFoundError(str(error)) from error
    except ProviderUnavailableError as error:
        raise StripeUnavailableError(
            "Stripe could not be asked; nothing was executed. Repeat with the same key.",
            retry_after_s=error.retry_after_s or UNAVAILABLE_RETRY_AFTER_S,
        ) from error


@contextmanager
def asking_processor() -> Iterator[None]:
    """Say a failure to read at the processor in the contract's words: nothing was executed."""
    try:
        yield
    except ProviderUnavailableError as error:
        raise ProcessorUnavailableError(
            "The processor could not be asked; nothing was executed. Repeat with the same key.",
            retry_after_s=error.retry_after_s or UNAVAILABLE_RETRY_AFTER_S,
        ) from error
