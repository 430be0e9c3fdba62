"""What is raised when an invariant of docs/safety.md does not hold."""


class InvariantViolation(BaseException):
    """An invariant is broken; ``name`` says which, the message shows the evidence.

    It is no ``Exception``: settling goes on after an exception in one row, but must not after this.
    """

    def __init__(self, name: str, evidence: object) -> None:
        super().__init__(f"{name}: {evidence}")
        self.name = name


def require(holds: bool, name: str, evidence: object) -> None:
    """Raise if the invariant of that name does not hold.

    Raises:
        InvariantViolation: the invariant does not hold.
    """
    if not holds:
        raise InvariantViolation(name, evidence)
