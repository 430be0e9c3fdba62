"""Writes what the use cases note to the structured log."""

from decimal import Decimal

from aws_lambda_powertools import Logger

# Events that an operator must see even if only warnings are kept.
_WARNINGS = frozenset(
    {
        "api_keys_malformed",
        "api_keys_too_many",
        "bus_away",
        "circuit_opened",
        "credit_note_failed",
        "credit_note_put_off",
        "doorbell_lost",
        "event_given_up",
        "event_not_made",
        "event_not_published",
        "event_refused",
        "event_still_unpublished",
        "event_too_large",
        "intent_not_read_back",
        "late_answer_not_kept",
        "link_disagrees",
        "link_found_but_booked",
        "movement_already_claimed",
        "movement_contradicts",
        "movement_disagrees",
        "not_counted",
        "not_published_again",
        "open_refunds_not_measured",
        "outcome_not_recorded",
        "outcome_too_late",
        "pending_movement_gone",
        "publishing_failed",
        "refund_failed_by_hold",
        "refund_needs_review",
        "refund_taken_back",
        "refunds_not_listed",
        "report_failed",
        "request_refused",
        "settle_failed",
        "stripe_shows_less_than_ledger",
        "sweep_missed",
        "sweep_page_missed",
        "sweep_page_passed",
        "trace_leads_elsewhere",
        "trace_leads_nowhere",
        "webhook_address_closed",
        "webhook_address_disabled",
        "webhook_address_missing",
        "webhook_address_unreadable",
        "webhook_given_up",
        "webhook_not_rung",
        "webhook_not_taken",
        "webhook_not_tried",
    }
)


class LogTelemetry:
    """One log line per event, its facts as fields of their own."""

    def __init__(self, logger: Logger) -> None:
        """``logger`` is the function's own."""
        self._logger = logger

    def note(self, event: str, **facts: str | int | bool | Decimal | None) -> None:
        """Log ``event``; a warning if it is one that an operator must see."""
        log = self._logger.warning if event in _WARNINGS else self._logger.info
        log(event, extra=facts)
