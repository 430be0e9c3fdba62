"""The settings of a processor's adapter, from the environment; no secrets.

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
    """The settings that every processor needs: its address."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    # The settings that tell one account, and the form of our key there, from another.
    ACCOUNT: ClassVar[tuple[str, ...]] = ("url",)

    url: Annotated[str, Field(pattern=r"^https?://")]

    @property
    def account(self) -> str:
        """A fingerprint of the account that instructions go to, and of the form of their keys.

        An instruction with another fingerprint cannot be found and must not be repeated. It is no
        secret.
        """
        told = "\0".join(str(getattr(self, name)) for name in self.ACCOUNT)
        return hashlib.sha256(told.encode()).hexdigest()[:16]

    @classmethod
    def from_environment(
        cls, name: str, environment: Mapping[str, str], variable_of: Callable[[str], str]
    ) -> Self | None:
        """Read the settings of the processor of that name; ``None`` if it is not set up.

        ``variable_of`` gives the variable of a setting. An empty variable counts as absent, because
        a template's parameter cannot be left out.

        Raises:
            ConfigurationError: a variable is missing or out of range; the message names it.
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
    """Refuse to mix real money and test money by an address of the other mode.

    In live mode the address must be HTTPS and not the sandbox; in test mode it must not be the live
    address. Any other address (a merchant's own installation, a simulator) is allowed in both
    modes, unless the adapter says that money is real at one address only. ``variable`` is the
    variable that has the address.

    Raises:
        ConfigurationError: the address is of the other mode.
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
