"""Harbor's Python client, unmodified: from a registry to the log of a finished task."""

import asyncio
from typing import Any

import pytest
from harborapi import HarborAsyncClient
from harborapi.models import (
    Registry,
    ReplicationFilter,
    ReplicationPolicy,
    ReplicationTrigger,
    ReplicationTriggerSettings,
)

from tests.system.stack import PASSWORD, USERNAME, Stack

pytestmark = pytest.mark.slow


def number_in(location: str) -> int:
    return int(location.rsplit("/", 1)[1])


async def replicate(client: HarborAsyncClient, target_url: str) -> tuple[Any, list[Any], str]:
    """Create a registry and a policy, run it to its end; give the execution, its tasks and the first task's log."""
    registry = number_in(
        await client.create_registry(Registry(name="harborapi-target", type="docker-registry", url=target_url))
    )
    policy = ReplicationPolicy(
        name="harborapi",
        dest_registry=Registry(id=registry),
        dest_namespace="mirrored",
        dest_namespace_replace_count=1,
        filters=[ReplicationFilter(type="name", value="harborapi/**")],
        trigger=ReplicationTrigger(type="manual", trigger_settings=ReplicationTriggerSettings(cron="")),
        enabled=True,
        override=True,
    )
    policy_id = number_in(await client.create_replication_policy(policy))
    started = await client.start_replication(policy_id)
    execution = await wait_for_success(client, number_in(started))
    tasks = await client.get_replication_tasks(execution.id)
    log = await client.get_replication_task_log(execution.id, tasks[0].id)
    return execution, tasks, log


async def wait_for_success(client: HarborAsyncClient, execution_id: int) -> Any:
    for _ in range(300):
        execution = await client.get_replication(execution_id)
        if execution.status != "InProgress":
            return execution
        await asyncio.sleep(0.2)
    raise AssertionError(f"execution {execution_id} did not end")


def test_harborapi_creates_starts_waits_and_reads(stack: Stack) -> None:
    digest = stack.skopeo.push_image(stack.source.host, "harborapi/app:v1", layer_sizes=[100_000])

    async def run() -> tuple[Any, list[Any], str]:
        client = HarborAsyncClient(url=f"{stack.url}/api/v2.0", username=USERNAME, secret=PASSWORD)
        return await replicate(client, stack.target.url)

    execution, tasks, log = asyncio.run(run())
    assert (execution.status, execution.total, execution.succeed, execution.in_progress) == ("Succeed", 1, 1, 0)
    assert [(task.status, task.operation) for task in tasks] == [("Succeed", "copy")]
    assert "mirrored/app" in tasks[0].dst_resource
    assert digest in log
    assert stack.skopeo.digest(stack.target.host, "mirrored/app:v1") == digest
