"""Rule 34 of AWS: who calls a function and waits does so once, and for as long as it may run."""

from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError

from deployed import paths
from deployed.clients import AccessKey, CloudClients
from deploying.template_yaml import read_template


@pytest.fixture
def clients() -> CloudClients:
    return CloudClients("ap-southeast-1", "http://127.0.0.1:1", AccessKey("id", "secret"))


def test_a_function_that_does_not_answer_is_not_called_again(clients: CloudClients) -> None:
    # Given a caller of functions, and a function that gives no answer
    caller, calls = clients.caller_of_functions(), list[str]()

    def unanswered(request: Any, **_: Any) -> None:
        calls.append(request.url)
        raise ReadTimeoutError(endpoint_url=request.url)

    caller.meta.events.register("before-send.lambda.Invoke", unanswered)
    # When it is called
    with pytest.raises(ReadTimeoutError):
        caller.invoke(FunctionName="sweep-charges")
    # Then it was called once
    assert len(calls) == 1


def test_nobody_gives_up_while_a_function_may_still_run(clients: CloudClients) -> None:
    resources = read_template(paths.TEMPLATE)["Resources"].values()
    timeouts = [r["Properties"]["Timeout"] for r in resources if "Timeout" in r["Properties"]]
    assert len(timeouts) == 8
    assert clients.caller_of_functions().meta.config.read_timeout > max(timeouts)
