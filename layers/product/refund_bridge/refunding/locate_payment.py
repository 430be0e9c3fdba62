"""Steps 1 and 2: find which charge of which processor a Stripe object stands for.

Stripe's Payment Record and the processor's charge are read (side by side once the link is known).
The two must agree before anything is reserved or sent.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from refund_bridge.domain.agreement import (
    require_agreement,
    require_amount_for_part,
    require_currency,
    require_mode,
    require_outside,
    require_refundable_charge,
    require_refundable_record,
)
from refund_bridge.domain.charge import Charge
from refund_bridge.domain.errors import (
    PaymentLinkConflictError,
    PaymentNotFoundError,
    PaymentNotLinkedError,
)
from refund_bridge.domain.named_payments import NamedPayment, ids_named_by, named_in, not_linked
from refund_bridge.domain.payment import PaymentKey, unlinked_payment_key
from refund_bridge.domain.payment_record import PaymentRecord
from refund_bridge.domain.payment_reference import PaymentReference
from refund_bridge.domain.payment_snapshot import LocatedPayment, PaymentSnapshot
from refund_bridge.domain.refund import STRIPE
from refund_bridge.domain.refund_request import ReferenceType
from refund_bridge.ports.ledger import Ledger
from refund_bridge.ports.processor import ChargeNotFoundError, Processor
from refund_bridge.ports.runtime import Deadline, Together
from refund_bridge.ports.stripe import StripeReports
from refund_bridge.refunding.provider_errors import asking_processor, asking_stripe
from refund_bridge.refunding.stripe_links import (
    RecordLink,
    StripeLinks,
    StripesOwn,
    not_linked_to_record,
)


class VerifyCharge(StrEnum):
    """When to read the processor's charge before a refund: always, for a new link only, never."""

    ALWAYS = "always"
    FIRST = "first"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class _OwnLead:
    """The caller's reference leads to a payment that Stripe itself took."""

    link: StripesOwn
    invoice: str | None = None


@dataclass(frozen=True, slots=True)
class _Lead:
    """Where the caller's reference leads: a record, and its charge if that is already named.

    Attributes:
        key: the charge that the ledger or an invoice's metadata name; ``None`` if neither does.
        known: whether the ledger names it.
    """

    link: RecordLink
    key: PaymentKey | None
    known: bool
    payment_intent: str | None = None
    invoice: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentLocator:
    """Follows a caller's reference to the Payment Record and the charge behind it.

    Attributes:
        processors: those that are set up, by name.
        names: the names of all processors that a Payment Record's metadata may name, also of those
            that are not set up here. ``STRIPE`` is not among them: the payment of such a record was
            not taken by Stripe.
        in_doubt: whether the processor of that name failed a moment ago.
    """

    ledger: Ledger
    stripe_reports: StripeReports
    processors: Mapping[str, Processor]
    names: Sequence[str]
    together: Together
    verify_charge: VerifyCharge
    livemode: bool
    in_doubt: Callable[[str], bool]

    def locate(
        self,
        reference: PaymentReference,
        claimed: PaymentKey | None,
        deadline: Deadline,
        *,
        verify: VerifyCharge | None = None,
    ) -> LocatedPayment:
        """Read the payment that the caller names, at Stripe and at the processor, and check it.

        ``claimed`` is the payment that the ledger knows for the Payment Record, if any. ``verify``
        replaces ``verify_charge``, for callers that need what the charge shows. Nothing is written
        and nothing is sent that moves money.

        Raises:
            PaymentNotFoundError, PaymentNotLinkedError, PaymentLinkConflictError,
            PaymentNotRefundableError, CurrencyMismatchError: as the contract says.
            StripeUnavailableError, ProcessorUnavailableError: no usable answer in time.
            LedgerUnavailableError: the ledger could not be read.
        """
        if verify is not None:
            return replace(self, verify_charge=verify).locate(reference, claimed, deadline)
        lead = self._lead(reference, claimed, deadline)
        if isinstance(lead, _OwnLead):
            return self._locate_stripes_own(lead, reference, deadline)
        try:
            record, key, charge = self._read_as_linked(lead, reference, deadline)
        except ChargeNotFoundError as error:
            raise PaymentNotFoundError(
                "The processor knows no payment of the id that the Stripe object carries."
            ) from error
        require_mode(record.livemode, livemode=self.livemode, named="The Payment Record")
        require_refundable_record(record)
        require_amount_for_part(record.captured, reference.amount, paid=lead.link.amount_paid)
        require_currency(reference.currency, record.currency)
        if charge is not None:
            key = PaymentKey(key.processor, charge.id)
            require_agreement(record, charge)
        elif key.is_unlinked and not reference.is_unlinked:
            raise PaymentNotLinkedError(
                "The Payment Record books unlinked refunds; it names no payment.",
                details={
                    "object": record.id,
                    "missing": "processor payment id",
                    "expected_in": [f"metadata.{key.processor}_payment_id"],
                },
            )
        seen = PaymentSnapshot(
            key=key,
            payment_record=record.id,
            currency=record.currency,
            captured=record.captured,
            in_book=record.amount_refunded,
            charge=charge,
        )
        return LocatedPayment(
            seen=seen,
            report_to=record.id,
            payment_intent=lead.payment_intent,
            invoice=lead.invoice,
        )

    def _locate_stripes_own(
        self, lead: _OwnLead, reference: PaymentReference, deadline: Deadline
    ) -> LocatedPayment:
        """Read a payment that Stripe itself took; ``verify_charge`` is ignored.

        Only the charge tells what was captured. Its refunds are reported to no Payment Record.
        """
        own = lead.link
        if STRIPE not in self.processors:
            raise (
                self._no_processor(STRIPE)
                if own.named_by is None
                else not_linked_to_record(own.named_by)
            )
        if reference.processor not in (None, STRIPE):
            raise PaymentLinkConflictError(
                f"Stripe itself took this payment, not {reference.processor}.",
                details={"charge": own.charge, "linked": STRIPE, "named": reference.processor},
            )
        try:
            with asking_processor():
                charge = self.processors[STRIPE].charge(own.charge, deadline)
        except ChargeNotFoundError as error:
            raise PaymentNotFoundError(f"Stripe knows no charge {own.charge}.") from error
        require_refundable_charge(charge, named=reference.kind.value)
        require_amount_for_part(charge.money.amount, reference.amount, paid=own.amount_paid)
        require_currency(reference.currency, charge.money.currency)
        seen = PaymentSnapshot(
            key=PaymentKey(STRIPE, charge.id),
            payment_record=None,
            currency=charge.money.currency,
            captured=charge.money.amount,
            in_book=None,
            charge=charge,
        )
        return LocatedPayment(
            seen=seen, report_to=None, payment_intent=charge.payment_intent, invoice=lead.invoice
        )

    def _lead(
        self, reference: PaymentReference, claimed: PaymentKey | None, deadline: Deadline
    ) -> _Lead | _OwnLead:
        if reference.kind in (ReferenceType.PAYMENT_RECORD, ReferenceType.PAYMENT_METHOD):
            return _Lead(RecordLink(record_id=reference.id), claimed, known=claimed is not None)
        if reference.kind is ReferenceType.CHARGE:
            return _OwnLead(StripesOwn(charge=reference.id))
        if reference.kind is ReferenceType.PAYMENT_INTENT:
            return self._lead_of_intent(reference, deadline)
        return self._lead_of_invoice(reference, deadline)

    def _lead_of_intent(self, reference: PaymentReference, deadline: Deadline) -> _Lead | _OwnLead:
        with asking_stripe():
            intent = self.stripe_reports.payment_intent(reference.id, deadline)
        link = self._links.of_payment_intent(intent, deadline, charge=reference.charge)
        if isinstance(link, StripesOwn):
            return _OwnLead(link)
        claimed = self.ledger.payment_of_record(link.record_id)
        return _Lead(link, claimed, claimed is not None, payment_intent=intent.id)

    def _lead_of_invoice(self, reference: PaymentReference, deadline: Deadline) -> _Lead | _OwnLead:
        with asking_stripe():
            invoice = self.stripe_reports.invoice(reference.id, deadline)
        link = self._links.of_invoice(invoice, deadline)
        if isinstance(link, StripesOwn):
            return _OwnLead(link, invoice=invoice.id)
        found = self._payments_in(invoice.metadata)
        if len(found) > 1 and reference.processor is None:
            # An earlier refund may have said which of them it is.
            claimed = self.ledger.payment_of_record(link.record_id)
            return _Lead(link, claimed, claimed is not None, invoice=invoice.id)
        named = self._chosen(found, reference.processor, invoice.id)
        return _Lead(link, named, known=False, invoice=invoice.id)

    @property
    def _set_up(self) -> tuple[str, ...]:
        """The processors that a record can lead to here."""
        return tuple(name for name in self.processors if name != STRIPE)

    @property
    def _links(self) -> StripeLinks:
        return StripeLinks(
            stripe_reports=self.stripe_reports,
            livemode=self.livemode,
            books_a_payment=self._books_a_payment,
        )

    def _books_a_payment(self, record: PaymentRecord) -> bool:
        """Whether the record is known to book a processor's payment."""
        named = record.payment_reference or self._payments_in(record.metadata)
        return bool(named) or self.ledger.payment_of_record(record.id) is not None

    def _read_as_linked(
        self, lead: _Lead, reference: PaymentReference, deadline: Deadline
    ) -> tuple[PaymentRecord, PaymentKey, Charge | None]:
        """As ``_read``, but a link under which no money moved is replaced by what metadata name.

        The charge that the metadata name is then always read, also if ``verify_charge`` says not.
        """
        try:
            return self._read(lead, reference, deadline)
        except (PaymentLinkConflictError, ChargeNotFoundError):
            if not lead.known or lead.key is None or not self._is_unused(lead.key):
                raise
            record, key, charge = self._read(
                replace(lead, key=None, known=False), reference, deadline
            )
            if charge is None and self._is_shown(key):
                charge = self._charge(key, deadline)
            return record, key, charge

    def _is_unused(self, key: PaymentKey) -> bool:
        payment = self.ledger.payment(key)
        return payment is not None and payment.is_unused

    def _read(
        self, lead: _Lead, reference: PaymentReference, deadline: Deadline
    ) -> tuple[PaymentRecord, PaymentKey, Charge | None]:
        """Read the record and the charge; side by side if the charge's id is known beforehand."""
        named = lead.key
        if named is None:
            record = self._record(lead, deadline)
            key, charge = self._resolve(record, reference, deadline)
        elif self._reads_charge(named, known=lead.known):
            record, charge = self.together.both(
                lambda: self._record(lead, deadline),
                lambda: self._charge(named, deadline),
            )
            # An invoice may name a payment request; the charge then has another id.
            spelt = replace(named, charge_id=charge.id) if charge and not lead.known else named
            key = self._agreed(spelt, record, reference, deadline)
        else:
            record = self._record(lead, deadline)
            key = self._agreed(named, record, reference, deadline)
            is_in_doubt = lead.known and self._is_another_amount(key, record)
            charge = self._charge(key, deadline) if is_in_doubt else None
        return record, key, charge

    def _is_another_amount(self, key: PaymentKey, record: PaymentRecord) -> bool:
        """Whether Stripe shows another captured amount than before; then the charge decides."""
        if not self._is_shown(key):
            return False
        payment = self.ledger.payment(key)
        return payment is not None and payment.captured != record.captured

    def _is_shown(self, key: PaymentKey) -> bool:
        """Whether this payment can be read at the processor."""
        return not key.is_unlinked and self.processor(key.processor).capabilities.shows_payments

    def _reads_charge(self, key: PaymentKey, *, known: bool) -> bool:
        if not self._is_shown(key):
            return False
        if self.in_doubt(key.processor):
            # After a recent failure, probe with a read before sending money.
            return True
        if self.verify_charge is VerifyCharge.FIRST:
            return not known
        return self.verify_charge is VerifyCharge.ALWAYS

    def _payments_in(self, metadata: Mapping[str, str]) -> Mapping[str, PaymentKey]:
        """The payments that the metadata name, by processor."""
        found: dict[str, PaymentKey] = {}
        for one in named_in(metadata, self.names):
            if one.looks_like is None:
                found.setdefault(one.processor, PaymentKey(one.processor, one.id))
        return found

    def _chosen(
        self, found: Mapping[str, PaymentKey], asked: str | None, named_by: str
    ) -> PaymentKey | None:
        """The one payment to use of those that were found; ``None`` if none was found."""
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

    def _agreed(
        self,
        key: PaymentKey,
        record: PaymentRecord,
        reference: PaymentReference,
        deadline: Deadline,
    ) -> PaymentKey:
        """``key``; raises if the metadata name another charge, or the caller another processor."""
        found, asked = self._payments_in(record.metadata), reference.processor
        if asked not in (None, key.processor):
            raise PaymentLinkConflictError(
                f"The payment is linked to {key.processor}, not to {asked}.",
                details={"payment_record": record.id, "linked": key.processor, "named": asked},
            )
        if found and not self._lead_to(key, found, record, deadline):
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

    def _lead_to(
        self,
        key: PaymentKey,
        found: Mapping[str, PaymentKey],
        record: PaymentRecord,
        deadline: Deadline,
    ) -> bool:
        """Whether the metadata name that payment; where ids differ, the processor is asked."""
        named = found.get(key.processor)
        if named is None or named.charge_id.casefold() == key.charge_id.casefold():
            return named is not None
        if not self._is_shown(key):
            return False
        try:
            charge = self._first_charge(ids_named_by(record, key.processor), deadline)
        except PaymentNotFoundError:
            return False
        return charge.id.casefold() == key.charge_id.casefold()

    def _resolve(
        self,
        record: PaymentRecord,
        reference: PaymentReference,
        deadline: Deadline,
    ) -> tuple[PaymentKey, Charge | None]:
        """Find the charge by the record's metadata, else by its payment reference."""
        asked = reference.processor
        key = self._chosen(self._payments_in(record.metadata), asked, record.id)
        if key is not None and not self._reads_charge(key, known=False):
            return key, None
        if key is None and reference.is_unlinked and asked is not None:
            return unlinked_payment_key(asked, record.id), None
        # Some integrations put a charge's id in the reference, others a payment request's. Only the
        # processor can tell, so the charge is always read, also if ``verify_charge`` says not.
        name = key.processor if key is not None else self._shows_payments(asked)
        if name is None or not ids_named_by(record, name):
            raise not_linked(record, self.names, self._set_up)
        charge = self._first_charge(ids_named_by(record, name), deadline)
        return PaymentKey(name, charge.id), charge

    def _first_charge(self, named: Sequence[NamedPayment], deadline: Deadline) -> Charge:
        """The first of the named payments that the processor shows.

        Raises:
            PaymentNotFoundError: it shows none of them; the error names the ids.
        """
        for one in named:
            try:
                return self._charge(PaymentKey(one.processor, one.id), deadline)
            except ChargeNotFoundError:
                continue
        ids = " and ".join(f'"{one.id}" ({one.field})' for one in named)
        raise PaymentNotFoundError(
            f"The processor knows no payment of the id {ids}.",
            details={"found": [one.told for one in named]},
        )

    def _shows_payments(self, asked: str | None) -> str | None:
        """The processor at which to read a payment reference: ``asked``, or else the first."""
        names = self.processors if asked is None else (asked,)
        named = (name for name in names if name != STRIPE)
        shown = (name for name in named if self.processor(name).capabilities.shows_payments)
        return next(shown, None)

    def processor(self, name: str) -> Processor:
        """The processor of that name.

        Raises:
            PaymentNotLinkedError: this stage has none of that name.
        """
        if name not in self.processors:
            raise self._no_processor(name)
        return self.processors[name]

    def _no_processor(self, name: str) -> PaymentNotLinkedError:
        return PaymentNotLinkedError(
            f"No processor {name} is set up here.",
            details={
                "object": name,
                "missing": "processor",
                "expected_in": ["StripePayments" if name == STRIPE else f"{name.upper()}_URL"],
            },
        )

    def _record(self, lead: _Lead, deadline: Deadline) -> PaymentRecord:
        record = lead.link.record
        if record is None:
            with asking_stripe():
                record = self.stripe_reports.payment_record(lead.link.record_id, deadline)
        require_outside(record, named_by=lead.payment_intent or lead.invoice)
        return record

    def _charge(self, key: PaymentKey, deadline: Deadline) -> Charge:
        """The charge of that id, or the one paid payment of the payment request of that id."""
        processor = self.processor(key.processor)
        with asking_processor():
            try:
                return processor.charge(key.charge_id, deadline)
            except ChargeNotFoundError:
                return processor.charge(processor.charge_id_of(key.charge_id, deadline), deadline)
