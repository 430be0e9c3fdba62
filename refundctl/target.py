"""Which deployment is meant: a stage on AWS, or what runs on this machine.

What is deployed says itself where things are: the stack's outputs and parameters, not the files of
this checkout, which may be ahead of it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from deployed import paths
from deployed.clients import AccessKey, CloudClients
from deployed.live import ALIAS, LiveStack
from deployed.stages import UnknownStageError, load_stage
from refundctl.exits import MisusedError, UnreachableError

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient

LOCAL = "local"


@dataclass(frozen=True)
class Stack:
    """What a deployed stack says of itself."""

    outputs: Mapping[str, str]
    parameters: Mapping[str, str]


class Target:
    """One deployment and the way to its cloud."""

    def __init__(
        self,
        stage: str,
        stack_name: str,
        clients: CloudClients,
        *,
        api_url: str | None = None,
        api_key: str | None = None,
    ) -> None:
        self.stage = stage
        self.stack_name = stack_name
        self._clients = clients
        # Of what runs on this machine: what it left to be found by.
        self.api_url = api_url
        self.api_key = api_key

    @property
    def region(self) -> str:
        """Where it is."""
        return self._clients.region

    def credentials(self) -> Any:
        """What requests to its interface are signed with."""
        return self._clients.credentials()

    def client(self, service: str) -> Any:
        """Make a boto3 client; annotate the variable with its type from mypy_boto3_<service>."""
        return self._clients.client(service)

    def invoke(self, function: str, payload: Mapping[str, Any]) -> Any:
        """What the live version of a function answers to one call, which is made once.

        One that fails answers what Lambda says of that: `errorMessage`, `errorType`.
        """
        client = self._clients.caller_of_functions()
        answer = client.invoke(FunctionName=f"{function}:{ALIAS}", Payload=json.dumps(payload))
        return json.loads(answer["Payload"].read())

    @cached_property
    def live(self) -> LiveStack:
        """What runs of the stack, and what calls it."""
        return LiveStack(self._clients, self.stack_name)

    @cached_property
    def stack(self) -> Stack:
        """The stack, asked for once.

        Raises:
            UnreachableError: there is none.
        """
        cloudformation: CloudFormationClient = self.client("cloudformation")
        try:
            (found,) = cloudformation.describe_stacks(StackName=self.stack_name)["Stacks"]
        except ClientError as error:
            if "does not exist" not in str(error):
                raise
            raise UnreachableError(
                f"There is no stack {self.stack_name} in {self._clients.region}; deploy it first."
            ) from error
        return Stack(
            outputs={each["OutputKey"]: each["OutputValue"] for each in found.get("Outputs", [])},
            parameters={
                each["ParameterKey"]: each["ParameterValue"] for each in found.get("Parameters", [])
            },
        )


def target_of(stage: str | None, stack_file: Path | None) -> Target:
    """The deployment that a command line means.

    A stage on AWS must be named. Without one it is what runs on this machine, so that no command
    reaches real money by leaving something out.

    Args:
        stage: of samconfig.toml; `local` is this machine.
        stack_file: what a local stack left behind to be found by; `make run`'s if not given.

    Raises:
        MisusedError: there is no such stage, or nothing runs here and none is named.
        UnreachableError: nothing runs here though this is where it was looked for.
    """
    if stage is not None and stage != LOCAL:
        return _on_aws(stage)
    file = stack_file or paths.STACK_FILE
    try:
        facts = json.loads(file.read_text())
        key = AccessKey(facts["aws_access_key_id"], facts["aws_secret_access_key"])
        clients = CloudClients(facts["region"], facts["aws_endpoint_url"], key)
        return Target(
            LOCAL,
            facts["stack_name"],
            clients,
            api_url=facts.get("api_url"),
            api_key=facts.get("api_key"),
        )
    except FileNotFoundError:
        if stage is None and stack_file is None:
            raise MisusedError(
                "Say which: --stage NAME, or start the local one: make run."
            ) from None
        raise UnreachableError("Nothing runs here; start it: make run.") from None
    except (ValueError, KeyError, TypeError):
        raise UnreachableError(f"{file} does not say how to reach a local stack.") from None


def _on_aws(name: str) -> Target:
    try:
        stage = load_stage(name)
    except UnknownStageError as error:
        raise MisusedError(f"{error}") from error
    return Target(name, stage.stack_name, CloudClients(stage.region))
