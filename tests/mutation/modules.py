"""Which modules are changed, and which tests must notice."""

import ast
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
PRODUCT: Final = ROOT / "layers" / "product"
# fmt: off
MODULES: Final = (
    *(
        f"refund_bridge.{name}"
        for name in (
            "domain.state_machine", "domain.transitions", "domain.payment",
            "domain.external_refund",
            "domain.outcome", "domain.evidence", "domain.backoff", "domain.stripe_knows",
            "domain.listed_refunds", "refunding.claims", "refunding.record_outcome",
            "refunding.reserve", "refunding.execute", "refunding.learn_from_charge",
            "refunding.follow_refund", "refunding.payment_links",
            "refunding.look_up", "refunding.send", "refunding.unlinked", "refunding.withdraw",
            "reporting.report", "reporting.report_steps", "reporting.read_sums",
            "reporting.look_at_sums", "reporting.credit_note", "settling.settle",
            "settling.settling", "settling.find_out", "settling.follow_pending",
            "settling.run_scheduled", "settling.tell_stripe", "settling.look_after", "settling.run",
            "observing.observe_payment",
        )
    ),
    "refundctl.deciding.resolve", "refundctl.deciding.read_evidence",
    "refundctl.deciding.replay_credit_note",
)
# Where the tests of rules and use cases are, and which of them are of files and texts.
TESTED: Final = (
    "domain", "refunding", "reporting", "settling", "observing", "reading", "events",
    "refundctl/deciding",
)
ELSEWHERE: Final = frozenset({"test_money.py", "test_event_schemas.py", "test_requested.py"})
# fmt: on


def leaf_of(module: str) -> str:
    """The module's own name: what it is asked for by, and what its mutants' names begin with."""
    return module.rpartition(".")[2]


def path_of(module: str) -> Path:
    """The file that the module is in."""
    root = ROOT if module.startswith("refundctl.") else PRODUCT
    return root / f"{module.replace('.', '/')}.py"


def tree_of(module: str) -> ast.Module:
    """The module as it is."""
    return ast.parse(path_of(module).read_text())


def is_named_after(test: Path, module: str) -> bool:
    """Whether a file of tests is about the module, by its name."""
    return test.name.startswith(f"test_{leaf_of(module)}")


def tests_of(module: str) -> list[list[str]]:
    """The unit tests named after the module, then the others of use cases and rules."""
    paths = [
        path
        for folder in TESTED
        for path in sorted((ROOT / "tests/unit" / folder).glob("test_*.py"))
    ]
    named = [path for path in paths if is_named_after(path, module)]
    rest = [path for path in paths if path not in named and path.name not in ELSEWHERE]
    return [[str(path) for path in part] for part in (named, rest) if part]
