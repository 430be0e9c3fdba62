"""boto3 clients: for the local cloud with its address and its own key, or for AWS."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import boto3
from botocore.config import Config

# Longer than any function may run (template.yaml). A shorter timeout would end in a second call.
FUNCTION_SECONDS = 330
CONFIG = Config(
    connect_timeout=2,
    read_timeout=60,
    retries={"mode": "standard", "max_attempts": 2},
    s3={"addressing_style": "path"},
)


@dataclass(frozen=True)
class AccessKey:
    """The id and the secret of an AWS access key."""

    id: str
    secret: str = field(repr=False)

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables that pass the key to programs."""
        return {"AWS_ACCESS_KEY_ID": self.id, "AWS_SECRET_ACCESS_KEY": self.secret}


class CloudClients:
    """Makes clients for one emulator with its key, or for AWS with the user's own credentials.

    Raises:
        ValueError: an address without a key (it would get the user's own credentials), or a key
            without an address.
    """

    def __init__(
        self, region: str, endpoint_url: str | None = None, key: AccessKey | None = None
    ) -> None:
        if (endpoint_url is None) != (key is None):
            raise ValueError("an emulator's address and its key belong together")
        self.region = region
        self.endpoint_url = endpoint_url
        self.key = key
        self._made: dict[str, Any] = {}

    @cached_property
    def _session(self) -> boto3.Session:
        return boto3.Session(
            region_name=self.region,
            aws_access_key_id=self.key.id if self.key else None,
            aws_secret_access_key=self.key.secret if self.key else None,
        )

    def client(self, service: str) -> Any:
        """The client of a service; annotate the variable with its type from mypy_boto3_<service>.

        Each client is made once, since making one takes longer than a call; threads may share it.
        """
        if service not in self._made:
            make: Any = self._session.client  # its overloads want a literal service name
            self._made[service] = make(service, endpoint_url=self.endpoint_url, config=CONFIG)
        return self._made[service]

    def caller_of_functions(self) -> Any:
        """A client of Lambda for `invoke`: calls once, and waits as long as functions may run."""
        once = Config(read_timeout=FUNCTION_SECONDS, retries={"total_max_attempts": 1})
        make: Any = self._session.client
        return make("lambda", endpoint_url=self.endpoint_url, config=CONFIG.merge(once))

    def credentials(self) -> Any:
        """The clients' credentials, to sign a request for which boto3 has no client."""
        return self._session.get_credentials()
