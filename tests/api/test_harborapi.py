"""The client library `harborapi` from PyPI, unmodified, against a live server: all that needs no worker."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from django.contrib.auth.models import User
from harborapi import HarborAsyncClient
from harborapi.exceptions import BadRequest, Conflict, Forbidden, NotFound, PreconditionFailed, Unauthorized
from harborapi.models import (
    ProjectMember,
    ProjectReq,
    Registry,
    RegistryCredential,
    RegistryPing,
    RegistryUpdate,
    ReplicationFilter,
    ReplicationPolicy,
    ReplicationTrigger,
    ReplicationTriggerSettings,
    RoleRequest,
    UserEntity,
)
from pytest_django.live_server_helper import LiveServer

from replication.models import Execution
from tests.factories import (
    PASSWORD,
    make_admin,
    make_endpoint,
    make_execution,
    make_local_endpoint,
    make_log_line,
    make_rule,
    make_task,
    make_user,
)
from tests.servers import DockerRegistry

Conversation = Callable[[HarborAsyncClient], Coroutine[Any, Any, Any]]
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("celery_broker")]


@pytest.fixture
def talk(live_server: LiveServer) -> Callable[..., Any]:
    """Have a conversation with the server as an administrator, or as somebody else: `talk(conversation, user=…)`."""
    administrator = make_admin(username="alice")

    def converse(conversation: Conversation, *, user: User = administrator, password: str = PASSWORD) -> Any:
        async def hold() -> Any:
            client = HarborAsyncClient(url=f"{live_server.url}/api/v2.0", username=user.get_username(), secret=password)
            async with client.client:  # or the connections stay open behind the server's back
                return await conversation(client)

        return asyncio.run(hold())

    return converse


def _id(location: str) -> int:
    return int(location.rpartition("/")[2])


def test_the_system_answers(talk: Callable[..., Any]):
    async def conversation(client: HarborAsyncClient) -> None:
        assert await client.ping() == "Pong"
        health = await client.health_check()
        assert {part.name: part.status for part in health.components or []}["database"] == "healthy"
        about = await client.get_system_info()
        assert about.auth_mode == "db_auth"
        assert (about.harbor_version or "").startswith("v2.")
        me = await client.get_current_user()
        assert (me.username, me.sysadmin_flag) == ("alice", True)

    talk(conversation)


def test_refusals_become_the_clients_own_exceptions(talk: Callable[..., Any]):
    bob = make_user(username="bob")

    async def missing(client: HarborAsyncClient) -> None:
        with pytest.raises(NotFound) as refused:
            await client.get_registry(99)
        assert [error.message for error in refused.value.errors] == ["registry 99 not found"]

    async def wrong_password(client: HarborAsyncClient) -> None:
        with pytest.raises(Unauthorized):
            await client.get_current_user()

    async def forbidden(client: HarborAsyncClient) -> None:
        with pytest.raises(Forbidden):
            await client.get_registries()

    talk(missing)
    talk(wrong_password, password="wrong")
    talk(forbidden, user=bob)


def test_a_project_lives_and_dies(talk: Callable[..., Any]):
    make_local_endpoint()
    make_user(username="bob")

    async def conversation(client: HarborAsyncClient) -> None:
        assert not await client.project_exists("test")
        location = await client.create_project(ProjectReq(project_name="test", metadata={"public": "true"}))
        assert location == "/api/v2.0/projects/test"
        assert await client.project_exists("test")
        with pytest.raises(Conflict):
            await client.create_project(ProjectReq(project_name="test"))
        project = await client.get_project("test")
        assert project.metadata is not None
        assert (project.name, project.metadata.public) == ("test", "true")
        assert (await client.get_project(project.project_id or 0)).name == "test"
        await client.update_project("test", ProjectReq(metadata={"public": "false"}))
        assert not await client.get_projects(public=True)
        added = await client.add_project_member(
            "test", ProjectMember(role_id=2, member_user=UserEntity(username="bob"))
        )
        await client.update_project_member_role("test", _id(added), RoleRequest(role_id=1))
        members = await client.get_project_members("test")
        assert {member.entity_name: member.role_name for member in members} == {
            "alice": "projectAdmin",
            "bob": "projectAdmin",
        }
        await client.remove_project_member("test", _id(added))
        assert (await client.get_project_summary("test")).project_admin_count == 1
        await client.delete_project("test")
        assert not await client.project_exists("test")

    talk(conversation)


def test_a_registry_lives_and_dies(talk: Callable[..., Any], docker_registry: DockerRegistry):
    async def conversation(client: HarborAsyncClient) -> None:
        await client.check_registry_status(RegistryPing(type="docker-registry", url=docker_registry.url))
        with pytest.raises(BadRequest):
            await client.check_registry_status(RegistryPing(type="docker-registry", url="http://127.0.0.1:1"))
        wanted = Registry(
            name="dr",
            type="docker-registry",
            url=docker_registry.url,
            insecure=True,
            credential=RegistryCredential(type="basic", access_key="robot", access_secret="secret"),
        )
        number = _id(await client.create_registry(wanted))
        with pytest.raises(Conflict):
            await client.create_registry(wanted)
        stored = await client.get_registry(number)
        assert stored.credential is not None
        assert (stored.name, stored.status, stored.credential.access_secret) == ("dr", "healthy", "*****")
        await client.check_registry_status(RegistryPing(id=number))
        await client.update_registry(number, RegistryUpdate(description="far away"))
        assert [row.description for row in await client.get_registries(query="name=dr")] == ["far away"]
        filters = (await client.get_registry_info(number)).supported_resource_filters or []
        assert [item.type for item in filters] == ["name", "tag", "resource"]
        assert "harbor" in await client.get_registry_adapters()
        assert "google-gcr" in (await client.get_registry_providers()).root
        await client.delete_registry(number)
        assert await client.get_registries() == []

    talk(conversation)


def test_lists_longer_than_a_page_come_whole(talk: Callable[..., Any]):
    for number in range(25):
        make_endpoint(name=f"registry-{number:02d}")

    async def conversation(client: HarborAsyncClient) -> None:
        registries = await client.get_registries(query="name=~registry-", sort="-name")
        assert [row.name for row in registries] == [f"registry-{number:02d}" for number in range(24, -1, -1)]

    talk(conversation)


def test_a_rule_lives_runs_and_dies(talk: Callable[..., Any]):
    make_local_endpoint()
    remote = make_endpoint(name="dr")

    async def conversation(client: HarborAsyncClient) -> None:
        wanted = ReplicationPolicy(
            name="to-dr",
            dest_registry=Registry(id=remote.pk),
            dest_namespace="mirror",
            dest_namespace_replace_count=1,
            trigger=ReplicationTrigger(
                type="scheduled", trigger_settings=ReplicationTriggerSettings(cron="0 0 2 * * *")
            ),
            filters=[ReplicationFilter(type="name", value="library/**")],
            enabled=True,
            override=True,
        )
        number = _id(await client.create_replication_policy(wanted))
        policy = await client.get_replication_policy(number)
        assert policy.src_registry is not None
        assert policy.dest_registry is not None
        assert (policy.src_registry.name, policy.dest_registry.id) == ("Local", remote.pk)
        assert (policy.dest_namespace, policy.dest_namespace_replace_count) == ("mirror", 1)
        policy.description = "every night"
        await client.update_replication_policy(number, policy)
        assert [row.description for row in await client.get_replication_policies(name="to-dr")] == ["every night"]
        run = _id(await client.start_replication(number))
        assert [item.id for item in await client.get_replications(policy_id=number)] == [run]
        execution = await client.get_replication(run)
        assert (execution.status, execution.trigger, execution.total) == ("InProgress", "manual", 0)
        with pytest.raises(PreconditionFailed):
            await client.delete_replication_policy(number)
        await client.stop_replication(run)

    talk(conversation)
    Execution.objects.update(status="stopped", ended_at="2026-01-02T03:04:05Z")

    async def afterwards(client: HarborAsyncClient) -> None:
        (policy,) = await client.get_replication_policies()
        await client.delete_replication_policy(policy.id or 0)
        assert await client.get_replication_policies() == []
        assert [item.status for item in await client.get_replications(status="Stopped")] == ["Stopped"]

    talk(afterwards)


def test_a_disabled_rule_is_not_started(talk: Callable[..., Any]):
    rule = make_rule(enabled=False)

    async def conversation(client: HarborAsyncClient) -> None:
        with pytest.raises(PreconditionFailed):
            await client.start_replication(rule.pk)

    talk(conversation)


def test_tasks_and_their_logs_are_read(talk: Callable[..., Any]):
    execution = make_execution(status="succeeded", tasks_total=1, tasks_succeeded=1)
    task = make_task(execution=execution, status="succeeded")
    make_log_line(task=task, message="copying library/app")

    async def conversation(client: HarborAsyncClient) -> None:
        assert (await client.get_replication(execution.pk)).status == "Succeed"
        (shown,) = await client.get_replication_tasks(execution.pk)
        assert (shown.status, shown.operation) == ("Succeed", "copy")
        log = await client.get_replication_task_log(execution.pk, task.pk)
        assert log.endswith("[INFO] copying library/app\n")

    talk(conversation)
