"""Writes what the use cases note to the structured log."""

from decimal import Decimal

from aws_lambda_powertools import Logger

# What an operator must see even when only warnings are kept.
_WARNINGS = frozenset(
    {
        "api_keys_malformed",
        "circuit_opened",
        "doorbell_lost",
        "intent_not_read_back",
        "late_answer_not_kept",
        "movement_already_claimed",
        "movement_contradicts",
        "movement_disagrees",
        "outcome_not_recorded",
        "outcome_too_late",
        "pending_movement_gone",
        "refund_failed_by_hold",
        "refund_needs_review",
        "refund_taken_back",
        "report_failed",
        "settle_failed",
        "stripe_shows_less_than_ledger",
    }
)


class LogTrail:
    """One log line per event, its facts as fields of their own."""

    def __init__(self, logger: Logger) -> None:
        """``logger`` is the function's own."""
        self._logger = logger

    def note(self, event: str, **facts: str | int | bool | Decimal | None) -> None:
        """Log ``event``; a warning if it is one that an operator must see."""
        log = self._logger.warning if event in _WARNINGS else self._logger.info
        log(event, extra=facts)
