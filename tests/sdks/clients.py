"""Stripe's official SDKs, unmodified, as the tests call them: one set of verbs, one kind of error.

Python's runs here, Node's in a process of its own. Neither knows more than the address and the key.
"""

import json
import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import stripe

from deployed import paths
from tests.sdks.tls_proxy import CERTIFICATE

NODE = Path(__file__).parent / "node"
NODE_ENVIRONMENT = paths.LOCAL / "envs" / "node"
AT_MOST_S = 120


class SdkError(Exception):
    """What an SDK raised.

    Attributes:
        kind: its class, without the SDK's own prefix.
    """

    def __init__(
        self,
        kind: str,
        code: str | None,
        param: str | None,
        status: int | None,
        request_id: str | None,
    ) -> None:
        super().__init__(f"{kind} {status} {code} {param}")
        self.kind = kind.removeprefix("Stripe").replace("APIConnection", "Connection")
        self.code = code
        self.param = param
        self.status = status
        self.request_id = request_id


class Sdk(Protocol):
    """A caller with one key. Every verb may raise ``SdkError``."""

    def create(self, key: str | None, **params: Any) -> dict[str, Any]:
        """Refund a payment; without an idempotency key of its own the SDK makes one, or none."""

    def retrieve(self, refund_id: str, **params: Any) -> dict[str, Any]:
        """Read a refund."""

    def cancel(self, refund_id: str) -> dict[str, Any]:
        """Take a refund back."""

    def page(self, **params: Any) -> dict[str, Any]:
        """One page of a list."""

    def walk(self, **params: Any) -> list[str]:
        """The ids of a list, all its pages after each other."""


@dataclass(frozen=True)
class PythonSdk:
    """``stripe`` from PyPI."""

    port: int
    key: str = field(repr=False)
    retries: int = 0
    timeout_s: int = 60
    path: str = ""

    def create(self, key: str | None, **params: Any) -> dict[str, Any]:
        return self._told(lambda one: one.create(params, _options(key)))

    def retrieve(self, refund_id: str, **params: Any) -> dict[str, Any]:
        return self._told(lambda one: one.retrieve(refund_id, params))

    def cancel(self, refund_id: str) -> dict[str, Any]:
        return self._told(lambda one: one.cancel(refund_id))

    def page(self, **params: Any) -> dict[str, Any]:
        return self._told(lambda one: one.list(params))

    def walk(self, **params: Any) -> list[str]:
        told = self._called(
            lambda one: [refund.id for refund in one.list(params).auto_paging_iter()]
        )
        return list(told)

    def _told(self, call: Any) -> dict[str, Any]:
        told: dict[str, Any] = self._called(call).to_dict()
        return told

    def _called(self, call: Any) -> Any:
        stripe.ca_bundle_path = str(CERTIFICATE)
        http = stripe.RequestsClient(timeout=self.timeout_s)
        client = stripe.StripeClient(
            self.key,
            base_addresses={"api": f"https://127.0.0.1:{self.port}{self.path}"},
            max_network_retries=self.retries,
            http_client=http,
        )
        try:
            return call(client.v1.refunds)
        except stripe.StripeError as error:
            raise SdkError(
                type(error).__name__,
                error.code,
                getattr(error, "param", None),
                error.http_status,
                error.request_id,
            ) from error
        finally:
            http.close()  # type: ignore[no-untyped-call]


@dataclass(frozen=True)
class NodeSdk:
    """``stripe`` from npm. It takes a host, a port and a protocol, and no path."""

    port: int
    key: str = field(repr=False)
    retries: int = 0
    timeout_s: int = 60

    def create(self, key: str | None, **params: Any) -> dict[str, Any]:
        return self._told("create", params=params, options=_options(key, "idempotencyKey"))

    def retrieve(self, refund_id: str, **params: Any) -> dict[str, Any]:
        return self._told("retrieve", id=refund_id, params=params)

    def cancel(self, refund_id: str) -> dict[str, Any]:
        return self._told("cancel", id=refund_id, params={})

    def page(self, **params: Any) -> dict[str, Any]:
        return self._told("page", params=params)

    def walk(self, **params: Any) -> list[str]:
        return list(self._called("walk", params=params))

    def _told(self, call: str, **asked: Any) -> dict[str, Any]:
        told: dict[str, Any] = self._called(call, **asked)
        return told

    def _called(self, call: str, **asked: Any) -> Any:
        settings = {"maxNetworkRetries": self.retries, "timeout": self.timeout_s * 1000}
        told = subprocess.run(  # noqa: S603 - this machine's own Node
            [node_program(), str(NODE / "driver.cjs")],
            input=json.dumps(
                {"call": call, "key": self.key, "port": self.port, "settings": settings, **asked}
            ),
            env={
                "PATH": os.environ["PATH"],
                "SDK_DIRECTORY": str(NODE_ENVIRONMENT),
                "NODE_EXTRA_CA_CERTS": str(CERTIFICATE),
            },
            capture_output=True,
            text=True,
            timeout=AT_MOST_S,
            check=False,
        )
        assert told.returncode == 0, told.stderr
        answer = json.loads(told.stdout)
        if "error" in answer:
            raise SdkError(**answer["error"])
        return answer["result"]


def has_node() -> bool:
    """Whether this machine has what runs the SDK, and what installs it."""
    return shutil.which("node") is not None and shutil.which("npm") is not None


def node_program() -> str:
    """The path of Node."""
    return str(shutil.which("node"))


def install_node_sdk() -> None:
    """Bring the SDK here as its registry has it, at the version and hash of the lock file."""
    NODE_ENVIRONMENT.mkdir(parents=True, exist_ok=True)
    lock = (NODE / "package-lock.json").read_text()
    installed = NODE_ENVIRONMENT / "package-lock.json"
    if installed.is_file() and installed.read_text() == lock:
        return
    shutil.copy(NODE / "package.json", NODE_ENVIRONMENT)
    # Under its own name only once everything is there.
    draft = NODE_ENVIRONMENT / "npm-shrinkwrap.json"
    draft.write_text(lock)
    subprocess.run(  # noqa: S603 - this machine's own npm
        [str(shutil.which("npm")), "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
        cwd=NODE_ENVIRONMENT,
        check=True,
        capture_output=True,
        timeout=300,
    )
    draft.rename(installed)


def _options(key: str | None, name: str = "idempotency_key") -> dict[str, str]:
    return {} if key is None else {name: key}
