"""One harmless call for each action that a function might try, by IAM's name of the action.

A call is harmless even if it is allowed: it names something that does not exist, its condition is
false, or it has no effect. So the calls can be made with the role of a running function.
"""

import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from deploying.deploy import BUCKET, TEMPLATE_KEY
from local.stack import RunningStack
from refund_bridge.events.announcements import SOURCE

NOBODY = {"pk": {"S": "refund#nobody"}, "sk": {"S": "refund"}}
NEVER = {"ConditionExpression": "attribute_exists(pk)"}
BOGUS = "bogus-receipt"
NO_QUEUE = "http://127.0.0.1/000000000000/nobodys"


@dataclass(frozen=True)
class Caller:
    """Somebody with credentials of AWS; `client` makes a boto3 client of a service."""

    client: Callable[[str], Any]
    stack: RunningStack

    @property
    def table(self) -> str:
        return self.stack.outputs["LedgerTable"]

    @property
    def prefix(self) -> str:
        return self.stack.stage.secrets_prefix


Call = Callable[[Caller, str], object]


def _index(arn: str) -> Mapping[str, Any]:
    """A query of an index; the index's ARN decides the name of its key."""
    key = {
        "by_invoice": "invoice",
        "by_month": "list_month",
        "by_payment": "payment_key",
        "by_payment_intent": "payment_intent",
        "by_status": "status_month",
        "due": "due_shard",
    }
    name = arn.rpartition("/")[2] if "/index/" in arn else ""
    index = {"IndexName": name} if name else {}
    return index | {
        "KeyConditionExpression": "#k = :k",
        "ExpressionAttributeNames": {"#k": key.get(name, "pk")},
        "ExpressionAttributeValues": {":k": {"S": "nobody"}},
    }


def _url(caller: Caller, arn: str) -> str:
    return str(
        caller.stack.client("sqs").get_queue_url(QueueName=arn.rpartition(":")[2])["QueueUrl"]
    )


def _parameter(arn: str) -> str:
    return arn.partition(":parameter")[2]


def _group(arn: str) -> str:
    return arn.partition(":log-group:")[2].removesuffix(":*")


def _stream(caller: Caller, arn: str) -> str:
    """A new log stream in a log group, made with all rights."""
    name = f"role-calls-{uuid.uuid4().hex}"
    caller.stack.client("logs").create_log_stream(logGroupName=_group(arn), logStreamName=name)
    return name


def _shard(caller: Caller, arn: str) -> str:
    streams = caller.stack.client("dynamodbstreams")
    shards = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
    return str(shards[0]["ShardId"])


def _iterator(caller: Caller, arn: str) -> str:
    streams = caller.stack.client("dynamodbstreams")
    return str(
        streams.get_shard_iterator(
            StreamArn=arn, ShardId=_shard(caller, arn), ShardIteratorType="LATEST"
        )["ShardIterator"]
    )


def _condition_check(caller: Caller, _arn: str) -> object:
    check = {"TableName": caller.table, "Key": NOBODY, **NEVER}
    return caller.client("dynamodb").transact_write_items(TransactItems=[{"ConditionCheck": check}])


# Actions that a role may be granted, each with a call that shows whether it is.


def put_as(caller: Caller, bus: str, source: str) -> Any:
    """Put an event without a meaning, with this source."""
    event = {"EventBusName": bus, "Source": source, "DetailType": "Nothing", "Detail": "{}"}
    return caller.client("events").put_events(Entries=[event])


CALLS: Mapping[str, Call] = {
    "dynamodb:BatchGetItem": lambda c, _: c.client("dynamodb").batch_get_item(
        RequestItems={c.table: {"Keys": [NOBODY]}}
    ),
    "dynamodb:BatchWriteItem": lambda c, _: c.client("dynamodb").batch_write_item(
        RequestItems={c.table: [{"DeleteRequest": {"Key": NOBODY}}]}
    ),
    "dynamodb:ConditionCheckItem": _condition_check,
    "dynamodb:DeleteItem": lambda c, _: c.client("dynamodb").delete_item(
        TableName=c.table, Key=NOBODY, **NEVER
    ),
    "dynamodb:DescribeStream": lambda c, arn: c.client("dynamodbstreams").describe_stream(
        StreamArn=arn
    ),
    "dynamodb:GetItem": lambda c, _: c.client("dynamodb").get_item(TableName=c.table, Key=NOBODY),
    "dynamodb:GetRecords": lambda c, arn: c.client("dynamodbstreams").get_records(
        ShardIterator=_iterator(c, arn)
    ),
    "dynamodb:GetShardIterator": lambda c, arn: c.client("dynamodbstreams").get_shard_iterator(
        StreamArn=arn, ShardId=_shard(c, arn), ShardIteratorType="LATEST"
    ),
    "dynamodb:ListStreams": lambda c, _: c.client("dynamodbstreams").list_streams(
        TableName=c.table
    ),
    "dynamodb:PutItem": lambda c, _: c.client("dynamodb").put_item(
        TableName=c.table, Item=NOBODY, **NEVER
    ),
    "dynamodb:Query": lambda c, arn: c.client("dynamodb").query(TableName=c.table, **_index(arn)),
    "dynamodb:Scan": lambda c, _: c.client("dynamodb").scan(TableName=c.table, Limit=1),
    "dynamodb:UpdateItem": lambda c, _: c.client("dynamodb").update_item(
        TableName=c.table,
        Key=NOBODY,
        UpdateExpression="SET a = :a",
        ExpressionAttributeValues={":a": {"S": "a"}},
        **NEVER,
    ),
    "events:PutEvents": lambda c, arn: put_as(c, arn, SOURCE),
    "logs:CreateLogStream": lambda c, arn: c.client("logs").create_log_stream(
        logGroupName=_group(arn), logStreamName=f"role-calls-{uuid.uuid4().hex}"
    ),
    "logs:PutLogEvents": lambda c, arn: c.client("logs").put_log_events(
        logGroupName=_group(arn),
        logStreamName=_stream(c, arn),
        logEvents=[{"timestamp": time.time_ns() // 1_000_000, "message": "{}"}],
    ),
    "sqs:ChangeMessageVisibility": lambda c, arn: c.client("sqs").change_message_visibility(
        QueueUrl=_url(c, arn), ReceiptHandle=BOGUS, VisibilityTimeout=0
    ),
    "sqs:DeleteMessage": lambda c, arn: c.client("sqs").delete_message(
        QueueUrl=_url(c, arn), ReceiptHandle=BOGUS
    ),
    "sqs:GetQueueAttributes": lambda c, arn: c.client("sqs").get_queue_attributes(
        QueueUrl=_url(c, arn), AttributeNames=["All"]
    ),
    "sqs:ReceiveMessage": lambda c, arn: c.client("sqs").receive_message(
        QueueUrl=_url(c, arn), VisibilityTimeout=0, WaitTimeSeconds=0
    ),
    # A character that SQS refuses, so that nothing is queued.
    "sqs:SendMessage": lambda c, arn: c.client("sqs").send_message(
        QueueUrl=_url(c, arn), MessageBody="\0"
    ),
    "ssm:GetParameters": lambda c, arn: c.client("ssm").get_parameters(
        Names=[_parameter(arn)], WithDecryption=True
    ),
    "ssm:GetParametersByPath": lambda c, arn: c.client("ssm").get_parameters_by_path(
        Path=_parameter(arn).removesuffix("/*"), WithDecryption=True
    ),
}


def _some_role(caller: Caller) -> str:
    functions = caller.stack.client("lambda")
    name = caller.stack.outputs["SettleRefundsFunctionName"]
    return str(functions.get_function_configuration(FunctionName=name)["Role"])


# Actions that no function needs. If one is allowed nothing happens: it names something that does
# not exist, or sets what is already set.
TEMPTING: Mapping[str, Callable[[Caller], object]] = {
    # the ledger, past the ledger's own code
    "dynamodb:ExecuteStatement": lambda c: c.client("dynamodb").execute_statement(
        Statement=f"SELECT * FROM \"{c.table}\" WHERE pk = 'nobody'"  # noqa: S608 - not SQL
    ),
    "dynamodb:DescribeTable": lambda c: c.client("dynamodb").describe_table(TableName=c.table),
    "dynamodb:ListTables": lambda c: c.client("dynamodb").list_tables(),
    "dynamodb:UpdateTable": lambda c: c.client("dynamodb").update_table(
        TableName=c.table, BillingMode="PAY_PER_REQUEST"
    ),
    "dynamodb:DeleteTable": lambda c: c.client("dynamodb").delete_table(TableName="nobodys"),
    "dynamodb:CreateBackup": lambda c: c.client("dynamodb").create_backup(
        TableName="nobodys", BackupName="taken-away"
    ),
    "dynamodb:ExportTableToPointInTime": lambda c: c.client(
        "dynamodb"
    ).export_table_to_point_in_time(
        TableArn="arn:aws:dynamodb:ap-southeast-1:000000000000:table/nobodys", S3Bucket="nobodys"
    ),
    "dynamodb:UpdateContinuousBackups": lambda c: c.client("dynamodb").update_continuous_backups(
        TableName=c.table, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
    ),
    # secrets: singly, as they were, and to change them
    "ssm:GetParameter": lambda c: c.client("ssm").get_parameter(
        Name=f"{c.prefix}/stripe-secret-key", WithDecryption=True
    ),
    "ssm:GetParameterHistory": lambda c: c.client("ssm").get_parameter_history(
        Name=f"{c.prefix}/stripe-secret-key", WithDecryption=True
    ),
    "ssm:DescribeParameters": lambda c: c.client("ssm").describe_parameters(),
    "ssm:PutParameter": lambda c: c.client("ssm").put_parameter(
        Name=f"{c.prefix}/stripe-secret-key", Value="x", Type="SecureString", Overwrite=False
    ),
    "ssm:DeleteParameters": lambda c: c.client("ssm").delete_parameters(
        Names=[f"{c.prefix}/nobody"]
    ),
    "secretsmanager:GetSecretValue": lambda c: c.client("secretsmanager").get_secret_value(
        SecretId="nobody"
    ),
    "kms:Decrypt": lambda c: c.client("kms").decrypt(KeyId="alias/aws/ssm", CiphertextBlob=b"x"),
    "kms:ListKeys": lambda c: c.client("kms").list_keys(),
    # the queues and the bus themselves
    "sqs:PurgeQueue": lambda c: c.client("sqs").purge_queue(QueueUrl=NO_QUEUE),
    "sqs:DeleteQueue": lambda c: c.client("sqs").delete_queue(QueueUrl=NO_QUEUE),
    "sqs:SetQueueAttributes": lambda c: c.client("sqs").set_queue_attributes(
        QueueUrl=NO_QUEUE, Attributes={"VisibilityTimeout": "360"}
    ),
    "sqs:ListQueues": lambda c: c.client("sqs").list_queues(),
    "events:PutRule": lambda c: c.client("events").put_rule(
        Name="nobody", EventBusName="nobody", EventPattern="{}"
    ),
    "events:PutTargets": lambda c: c.client("events").put_targets(
        Rule="nobody", EventBusName="nobody", Targets=[{"Id": "1", "Arn": "arn:aws:sqs:x:1:nobody"}]
    ),
    "events:ListRules": lambda c: c.client("events").list_rules(),
    "scheduler:ListSchedules": lambda c: c.client("scheduler").list_schedules(),
    "sns:Publish": lambda c: c.client("sns").publish(
        TopicArn="arn:aws:sns:ap-southeast-1:000000000000:nobody", Message="x"
    ),
    # functions, their code, and each other
    "lambda:InvokeFunction": lambda c: c.client("lambda").invoke(
        FunctionName=c.stack.outputs["SettleRefundsFunctionName"], InvocationType="DryRun"
    ),
    "lambda:GetFunction": lambda c: c.client("lambda").get_function(FunctionName="nobody"),
    "lambda:ListFunctions": lambda c: c.client("lambda").list_functions(),
    "lambda:UpdateFunctionCode": lambda c: c.client("lambda").update_function_code(
        FunctionName="nobody", ZipFile=b"x"
    ),
    "lambda:UpdateFunctionConfiguration": lambda c: c.client(
        "lambda"
    ).update_function_configuration(FunctionName="nobody", Timeout=1),
    "lambda:ListEventSourceMappings": lambda c: c.client("lambda").list_event_source_mappings(),
    # rights
    "iam:CreateRole": lambda c: c.client("iam").create_role(
        RoleName="nobody", AssumeRolePolicyDocument="{}"
    ),
    "iam:CreateUser": lambda c: c.client("iam").create_user(UserName="nobody"),
    "iam:GetRole": lambda c: c.client("iam").get_role(RoleName="nobody"),
    "iam:ListRoles": lambda c: c.client("iam").list_roles(),
    "iam:PutRolePolicy": lambda c: c.client("iam").put_role_policy(
        RoleName="nobody", PolicyName="more", PolicyDocument="{}"
    ),
    "sts:AssumeRole": lambda c: c.client("sts").assume_role(
        RoleArn=_some_role(c), RoleSessionName="more"
    ),
    # logs of its own actions, and alarms
    "logs:CreateLogGroup": lambda c: c.client("logs").create_log_group(logGroupName="/nobody"),
    "logs:DeleteLogGroup": lambda c: c.client("logs").delete_log_group(logGroupName="/nobody"),
    "logs:DescribeLogGroups": lambda c: c.client("logs").describe_log_groups(),
    "logs:FilterLogEvents": lambda c: c.client("logs").filter_log_events(
        logGroupName=c.stack.outputs["RefundApiLogGroup"]
    ),
    "cloudwatch:DeleteAlarms": lambda c: c.client("cloudwatch").delete_alarms(
        AlarmNames=["nobody"]
    ),
    "cloudwatch:DisableAlarmActions": lambda c: c.client("cloudwatch").disable_alarm_actions(
        AlarmNames=["nobody"]
    ),
    "cloudwatch:PutMetricData": lambda c: c.client("cloudwatch").put_metric_data(
        Namespace="nobody", MetricData=[{"MetricName": "x", "Value": 1}]
    ),
    # the stack and what it was made of
    "cloudformation:DescribeStacks": lambda c: c.client("cloudformation").describe_stacks(),
    "cloudformation:DeleteStack": lambda c: c.client("cloudformation").delete_stack(
        StackName="nobody"
    ),
    "apigateway:GET": lambda c: c.client("apigateway").get_rest_apis(),
    "s3:ListAllMyBuckets": lambda c: c.client("s3").list_buckets(),
    "s3:GetObject": lambda c: c.client("s3").get_object(Bucket=BUCKET, Key=TEMPLATE_KEY),
    "ec2:DescribeInstances": lambda c: c.client("ec2").describe_instances(),
}
