"""What is raised when an invariant of docs/safety.md does not hold."""


class InvariantViolation(BaseException):
    """An invariant is broken; ``name`` says which, the message shows the evidence.

    No ``Exception``: settling, which outlives whatever one row does, must not outlive this.
    """

    def __init__(self, name: str, evidence: object) -> None:
        super().__init__(f"{name}: {evidence}")
        self.name = name


def require(holds: bool, name: str, evidence: object) -> None:
    """Raise if the invariant of that name does not hold.

    Raises:
        InvariantViolation: it does not.
    """
    if not holds:
        raise InvariantViolation(name, evidence)
