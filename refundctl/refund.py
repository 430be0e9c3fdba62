"""`refundctl refund`: refund a payment, or many of a file, through the deployed interface."""

from pathlib import Path

from refundctl import options, who
from refundctl.exits import Exit, MisusedError
from refundctl.options import Call, Groups
from refundctl.refunding.many import refund_many
from refundctl.refunding.one import refund_one

PATIENCE_S = 120
WAIT_S = 120
RATE_DEFAULT = 5
RATE_MAX = 20


def declare(groups: Groups) -> None:
    """Add the command to the command line."""
    refund = options.command(
        groups, "refund", _refund, "Refund a payment, or those of a file, and follow it."
    )
    what = refund.add_argument_group("what")
    what.add_argument("payment", nargs="?", metavar="PAYMENT", help="pr_..., pi_... or in_...")
    what.add_argument("--amount", metavar="DECIMAL", help="in the major unit: 25.00")
    what.add_argument("--all", action="store_true", help="everything that is left")
    what.add_argument("--currency", type=str.lower, help="must be the payment's; to be sure")
    what.add_argument("--reason", help="duplicate, fraudulent, requested_by_customer or free text")
    what.add_argument("--processor", help="where the payment names several")
    what.add_argument("--key", help="the idempotency key; made of payment, amount and reason")
    many = refund.add_argument_group("many")
    many.add_argument("--from", dest="file", type=Path, metavar="FILE", help="a CSV file")
    many.add_argument("--batch", metavar="NAME", help="what the file's refunds are called together")
    many.add_argument("--result", type=Path, metavar="FILE", help="row by row what became of it")
    many.add_argument(
        "--allow-equal-rows", action="store_true", help="equal rows without a key are meant so"
    )
    many.add_argument(
        "--changed",
        action="store_true",
        help="beside --yes: send it though the batch held other rows",
    )
    many.add_argument(
        "--rate",
        type=options.whole(1, RATE_MAX),
        default=RATE_DEFAULT,
        help=f"at most so many a second; {RATE_DEFAULT}",
    )
    refund.add_argument("--key-file", type=Path, metavar="FILE", help="your own key to the service")
    refund.add_argument(
        "--patience",
        type=options.whole(0, 3600),
        default=PATIENCE_S,
        metavar="SECONDS",
        help=f"for so long one refund is asked for again; {PATIENCE_S}",
    )
    refund.add_argument(
        "--wait",
        type=options.whole(0, 3600),
        default=WAIT_S,
        metavar="SECONDS",
        help=f"follow it for so long; {WAIT_S}",
    )
    who.declare(refund)
    refund.add_argument("--dry-run", action="store_true", help="check it, send nothing, and end")
    refund.add_argument("--yes", action="store_true", help="do not ask")


def _refund(call: Call) -> Exit:
    asked = call.arguments
    if (asked.payment is None) == (asked.file is None):
        raise MisusedError("Name a payment, or a file of them with --from.")
    return refund_one(call) if asked.file is None else refund_many(call)
