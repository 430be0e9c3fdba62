"""Which deployment is meant: a stage on AWS, or the stack that runs on this machine.

Where things are is read from the deployed stack's outputs and parameters, not from the files of
this checkout, which may be newer.
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
    """The outputs and parameters of a deployed stack."""

    outputs: Mapping[str, str]
    parameters: Mapping[str, str]


class Target:
    """One deployment, and the clients for its cloud."""

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
        # From the file that the local stack leaves on this machine; `None` on AWS.
        self.api_url = api_url
        self.api_key = api_key

    @property
    def region(self) -> str:
        """The AWS region of the deployment."""
        return self._clients.region

    def credentials(self) -> Any:
        """The credentials that sign requests to the deployed interface."""
        return self._clients.credentials()

    def client(self, service: str) -> Any:
        """Make a boto3 client; annotate the variable with its type from mypy_boto3_<service>."""
        return self._clients.client(service)

    def invoke(self, function: str, payload: Mapping[str, Any]) -> Any:
        """Call the live version of a function, once, and return its answer.

        If the function fails, the answer is Lambda's: `errorMessage`, `errorType`.
        """
        client = self._clients.caller_of_functions()
        answer = client.invoke(FunctionName=f"{function}:{ALIAS}", Payload=json.dumps(payload))
        return json.loads(answer["Payload"].read())

    @cached_property
    def live(self) -> LiveStack:
        """The live versions of the stack's functions, and what calls them."""
        return LiveStack(self._clients, self.stack_name)

    @cached_property
    def stack(self) -> Stack:
        """The stack, read once.

        Raises:
            UnreachableError: there is no such stack.
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

    A stage on AWS must be named. Without a stage it is the stack of this machine, so that no
    command reaches real money because an option was forgotten.

    Args:
        stage: a stage of samconfig.toml; `local` is this machine.
        stack_file: the file that a local stack writes, so that it can be found; by default the one
            of `make run`.

    Raises:
        MisusedError: there is no such stage, or nothing runs here and no stage was named.
        UnreachableError: nothing runs here, though the command line names this machine.
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
