"""boto3 for the local cloud: its address, its made-up credentials, and nothing of the caller's."""

from typing import Any

import boto3
from botocore.config import Config

ROOT_KEY = "test"  # the emulator's root account; any other key is a role's and is checked
CONFIG = Config(
    connect_timeout=2,
    read_timeout=60,
    retries={"mode": "standard", "max_attempts": 2},
    s3={"addressing_style": "path"},
)


class CloudClients:
    """Makes clients of one emulator, or of AWS if no address is given."""

    def __init__(self, region: str, endpoint_url: str | None = None) -> None:
        self.region = region
        self.endpoint_url = endpoint_url
        root = ROOT_KEY if endpoint_url else None
        self._session = boto3.Session(
            region_name=region, aws_access_key_id=root, aws_secret_access_key=root
        )

    def client(self, service: str) -> Any:
        """Make a client; annotate the variable with its type from mypy_boto3_<service>."""
        make: Any = self._session.client  # its overloads want a literal service name
        return make(service, endpoint_url=self.endpoint_url, config=CONFIG)

    def credentials(self) -> Any:
        """What the clients sign with; to sign a request that boto3 does not know."""
        return self._session.get_credentials()
