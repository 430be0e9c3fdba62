"""Powertools' batch processor, with the messages of one batch handled side by side."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType


class ThreadedBatchProcessor(BatchProcessor):
    """Handles up to ``threads`` messages at once; all have ended when the batch is answered.

    Handling one is mostly waiting for a provider, so threads are enough.
    """

    def __init__(self, event_type: EventType, *, threads: int) -> None:
        """If every message of a batch fails, the failures are returned as for any other batch."""
        super().__init__(event_type, raise_on_entire_batch_failure=False)
        self._threads = threads

    def process(self) -> list[tuple[Any, ...]]:
        """Call the handler for every message; answers are in the order of the batch."""
        with ThreadPoolExecutor(self._threads, thread_name_prefix="batch") as pool:
            return list(pool.map(self._process_record, self.records))
