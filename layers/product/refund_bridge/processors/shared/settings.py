"""What a processor's adapter is set up with, from the environment; no secrets.

A setting ``url`` of the processor ``hitpay`` is the variable ``HITPAY_URL``, and so on. A processor
without a URL is not set up, and a payment that leads to it is refused.
"""

import hashlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from refund_bridge.config import ConfigurationError, Mode

if TYPE_CHECKING:
    from refund_bridge.processors.shared.base import Adapter


class ProcessorSettings(BaseModel):
    """What every processor needs: where it is."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    # What tells one account, and the form of our key there, from another.
    ACCOUNT: ClassVar[tuple[str, ...]] = ("url",)

    url: Annotated[str, Field(pattern=r"^https?://")]

    @property
    def account(self) -> str:
        """A fingerprint of what instructions are sent to, and of the form of their keys; no secret.

        An instruction of another account, or under another form of key, is not to be found nor
        repeated.
        """
        told = "\0".join(str(getattr(self, name)) for name in self.ACCOUNT)
        return hashlib.sha256(told.encode()).hexdigest()[:16]

    @classmethod
    def from_environment(
        cls, name: str, environment: Mapping[str, str], variable_of: Callable[[str], str]
    ) -> Self | None:
        """The settings of the processor of that name; ``None`` if it is not set up.

        ``variable_of`` tells the variable of a setting. An empty one counts as absent: a template's
        parameter cannot be left out.

        Raises:
            ConfigurationError: a variable is missing or out of range; the sentence names it.
        """
        given = {
            field: environment[variable_of(field)]
            for field in cls.model_fields
            if environment.get(variable_of(field))
        }
        if "url" not in given:
            return None
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            problems = "; ".join(
                f"{variable_of(str(problem['loc'][0]))}: {problem['msg']}"
                for problem in error.errors()
            )
            raise ConfigurationError(f"{name} is set up wrongly: {problems}") from None


def require_url_of_mode(url: str, mode: Mode, adapter: "type[Adapter]", variable: str) -> None:
    """Refuse to mix real and play money: live is HTTPS and never the sandbox, test never live.

    Other addresses, a processor of one's own or a simulator, are of the mode that is configured,
    unless the adapter says that money is real at one address only. ``variable`` holds the address.

    Raises:
        ConfigurationError: it is mixed.
    """
    address = urlsplit(url)
    host = (address.hostname or "").rstrip(".")  # with a dot at its end it is the same host
    if mode is Mode.LIVE and (address.scheme != "https" or host == adapter.sandbox_host):
        raise ConfigurationError(f"MODE is live, but {variable} is plain HTTP or the sandbox.")
    if mode is Mode.LIVE and adapter.only_there and host != adapter.live_host:
        raise ConfigurationError(f"MODE is live, but {variable} is not https://{adapter.live_host}")
    if mode is Mode.TEST and host == adapter.live_host:
        raise ConfigurationError(
            f"MODE is test, but {variable} is the live address, where money is real."
        )
