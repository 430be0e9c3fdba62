"""HitPay's webhook: charge.updated, signed over the raw body, from a bounded queue."""

import asyncio
import hashlib
import hmac
from collections import deque
from dataclasses import asdict, dataclass

import aiohttp

from local.simulators.hitpay_settings import HitPaySettings
from local.simulators.json_text import JsonObject, encode

QUEUE_LIMIT = 1_000
_TIMEOUT = aiohttp.ClientTimeout(total=5)
_RETRY_SECONDS = 0.2


@dataclass(frozen=True)
class Delivery:
    """One attempt: its address, the charge, and the status of the answer (None: no answer)."""

    url: str
    charge_id: str
    attempt: int
    status: int | None


@dataclass(frozen=True)
class _Letter:
    charge_id: str
    body: bytes
    settings: HitPaySettings


def signature(body: bytes, salt: str) -> str:
    """Return the Hitpay-Signature of a raw body."""
    return hmac.new(salt.encode(), body, hashlib.sha256).hexdigest()


class WebhookSender:
    """Delivers in the order of events; if the queue is full, an event is dropped and counted."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[_Letter] = asyncio.Queue(QUEUE_LIMIT)
        self._worker: asyncio.Task[None] | None = None
        self.deliveries: deque[Delivery] = deque(maxlen=QUEUE_LIMIT)
        self.dropped = 0

    def announce(self, charge: JsonObject, settings: HitPaySettings) -> None:
        """Queue charge.updated, with the charge as it is now."""
        if settings.webhook_url is None:
            return
        letter = _Letter(str(charge["id"]), encode(charge).encode(), settings)
        for _ in range(settings.webhook_copies):
            try:
                self._queue.put_nowait(letter)
            except asyncio.QueueFull:
                self.dropped += 1

    def start(self) -> None:
        """Begin delivering, in the running loop."""
        self._worker = asyncio.create_task(self._deliver_all())

    async def stop(self) -> None:
        """Stop delivering; queued events are lost, as in an outage."""
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)

    def reset(self) -> None:
        """Forget what is queued and what was delivered."""
        while not self._queue.empty():
            self._queue.get_nowait()
        self.deliveries.clear()
        self.dropped = 0

    def state(self) -> JsonObject:
        """Return the deliveries as the control API shows them."""
        return {
            "queued": self._queue.qsize(),
            "dropped": self.dropped,
            "deliveries": [asdict(delivery) for delivery in self.deliveries],
        }

    async def _deliver_all(self) -> None:
        async with aiohttp.ClientSession(timeout=_TIMEOUT) as session:
            while True:
                letter = await self._queue.get()
                await asyncio.sleep(letter.settings.webhook_delay_ms / 1000)
                for attempt in range(1, letter.settings.webhook_attempts + 1):
                    status = await self._post(session, letter)
                    url = letter.settings.webhook_url or ""
                    self.deliveries.append(Delivery(url, letter.charge_id, attempt, status))
                    if status is not None and status < 300:
                        break
                    await asyncio.sleep(_RETRY_SECONDS)

    async def _post(self, session: aiohttp.ClientSession, letter: _Letter) -> int | None:
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "HitPay v2.0",
            "Hitpay-Signature": signature(letter.body, letter.settings.webhook_salt),
            "Hitpay-Event-Type": "updated",
            "Hitpay-Event-Object": "charge",
        }
        url = letter.settings.webhook_url or ""
        try:
            async with session.post(url, data=letter.body, headers=headers) as response:
                await response.read()
                return response.status
        except (aiohttp.ClientError, TimeoutError, ValueError):
            return None
