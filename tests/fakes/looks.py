"""Recent looks in memory; tests/contract/ledger runs the same tests on them and the real ones."""

from refund_bridge.refunding.recent_looks import LOOKING, Looked


class MemoryLooks:
    """``recent_looks.Looks`` in a dictionary, without a limit."""

    def __init__(self) -> None:
        self.looks: dict[str, tuple[int, Looked]] = {}

    def take(self, what: str, *, now_ms: int, until_ms: int) -> Looked | None:
        ends_ms, looked = self.looks.get(what, (0, LOOKING))
        if now_ms < ends_ms <= until_ms:
            return looked
        self.looks[what] = until_ms, LOOKING
        return None

    def keep(self, what: str, looked: Looked, *, until_ms: int) -> None:
        self.looks[what] = until_ms, looked

    def drop(self, what: str) -> None:
        self.looks.pop(what, None)
