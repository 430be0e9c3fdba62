"""The account that is deployed to: what would go wrong is said before anything is built."""

from dataclasses import replace

import pytest
from botocore.exceptions import NoCredentialsError

from deployed.stages import Stage, load_stage
from deploying.account import AccountError, concerns, has_kept_ledger, identity
from tests.unit.local.cloud import Answer, FakeClients, raising, refused

STAGE = load_stage("sandbox")
NO_STACK = refused("ValidationError", "Stack with id refund-bridge-sandbox does not exist")
NO_TABLE = refused("ResourceNotFoundException")


def clients(
    *,
    stack: Answer | None = None,
    table: Answer | None = None,
    concurrency: int = 1000,
    role: str | None = None,
) -> FakeClients:
    """A clean account, unless something else is said."""
    limit = {"AccountLimit": {"UnreservedConcurrentExecutions": concurrency}}
    account = {} if role is None else {"cloudwatchRoleArn": role}
    return FakeClients(
        cloudformation={"describe_stacks": stack or raising(NO_STACK)},
        dynamodb={"describe_table": table or raising(NO_TABLE)},
        apigateway={"get_account": lambda: account},
        **{"lambda": {"get_account_settings": lambda: limit}},
    )


def stack_that_is(status: str) -> Answer:
    return lambda **_: {"Stacks": [{"StackStatus": status}]}


def told(made: FakeClients, stage: Stage = STAGE) -> list[str]:
    return list(concerns(made, stage))


def test_who_deploys_is_known() -> None:
    answer = {"Account": "111122223333", "Arn": "arn:aws:iam::111122223333:role/deployer"}
    who = identity(FakeClients(sts={"get_caller_identity": lambda: answer}))
    assert (who.account, who.arn) == ("111122223333", answer["Arn"])


@pytest.mark.parametrize(
    ("trouble", "remedy"),
    [
        (NoCredentialsError(), "aws sso login"),
        (refused("ExpiredToken"), "Sign in again"),
        (refused("InvalidClientTokenId"), "enable it"),
    ],
)
def test_without_credentials_it_is_said_what_to_do(trouble: Exception, remedy: str) -> None:
    with pytest.raises(AccountError, match=remedy) as stopped:
        identity(FakeClients(sts={"get_caller_identity": raising(trouble)}))
    assert "ap-southeast-1" in str(stopped.value)


def test_a_clean_account_is_of_no_concern() -> None:
    assert told(clients()) == []


def test_nor_is_a_stack_that_is_there() -> None:
    ready = stack_that_is("UPDATE_ROLLBACK_COMPLETE")
    assert told(clients(stack=ready, table=lambda **_: {"Table": {}})) == []


@pytest.mark.parametrize(
    ("status", "remedy"),
    [
        ("ROLLBACK_COMPLETE", "delete-stack --stack-name refund-bridge-sandbox"),
        ("UPDATE_IN_PROGRESS", "another deployment"),
    ],
)
def test_a_stack_that_takes_no_update_stops_it(status: str, remedy: str) -> None:
    with pytest.raises(AccountError, match=remedy):
        told(clients(stack=stack_that_is(status)))


def test_a_ledger_without_its_stack_is_noticed() -> None:
    """A new ledger in its place would not know what was refunded."""

    def there(**_: str) -> dict[str, object]:
        return {"Table": {}}

    assert has_kept_ledger(clients(table=there), STAGE)
    assert not has_kept_ledger(clients(table=there, stack=stack_that_is("CREATE_COMPLETE")), STAGE)
    assert not has_kept_ledger(clients(), STAGE)


def test_a_change_set_that_somebody_said_no_to_is_no_stack_yet() -> None:
    declined = stack_that_is("REVIEW_IN_PROGRESS")
    assert told(clients(stack=declined)) == []
    assert has_kept_ledger(clients(stack=declined, table=lambda **_: {"Table": {}}), STAGE)
    assert not has_kept_ledger(clients(stack=declined), STAGE)


def test_too_little_concurrency_stops_it_and_little_is_of_concern() -> None:
    """Eight workers of queues, two runs of settling, the sweep, and four shards of a new stream."""
    with pytest.raises(AccountError, match="Service Quotas"):
        told(clients(concurrency=15), load_stage("production"))
    (concern,) = told(clients(concurrency=18))
    assert "as few as 3 refunds" in concern


def test_a_new_accounts_ten_are_enough_for_test_money() -> None:
    (concern,) = told(clients(concurrency=10))
    assert "15 may be background work" in concern
    assert "Service Quotas" in concern


def test_the_accounts_role_of_other_apis_is_not_replaced_unnoticed() -> None:
    parameters = STAGE.parameters | {"ManageApiGatewayAccount": "true"}
    manages = replace(STAGE, parameters=parameters)
    assert told(clients(role="arn:aws:iam::1:role/other")) == []
    (concern,) = told(clients(role="arn:aws:iam::1:role/other"), manages)
    assert "role/other" in concern
    own = "arn:aws:iam::1:role/refund-bridge-sandbox-GatewayLogsRole-1"
    assert told(clients(role=own), manages) == []


def test_what_may_not_be_looked_at_stops_nothing() -> None:
    denied = raising(refused("AccessDenied", "not authorized to DescribeStacks"))
    (concern,) = told(clients(stack=denied))
    assert "DescribeStacks" in concern
