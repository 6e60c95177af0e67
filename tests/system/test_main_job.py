"""The main job through the running product: real registries, a real worker on a real broker, an ordinary client."""

import os
import re
import signal
import time

import pytest

from tests.system.stack import Stack, wait_for

pytestmark = pytest.mark.slow


def digest_at_target(stack: Stack, reference: str) -> str:
    """Read a digest with an independent client; empty while the target has nothing there."""
    from registry.testkit.skopeo import SkopeoError

    try:
        return stack.skopeo.digest(stack.target.host, reference)
    except SkopeoError:
        return ""


def make_event_rule(stack: Stack, name: str, **overrides) -> int:
    return stack.make_rule(name, trigger={"type": "event_based"}, deletion=True, **overrides)


def test_a_push_arrives_with_the_same_digest_and_a_deletion_follows(stack):
    rule = make_event_rule(stack, "push")
    digest = stack.skopeo.push_image(stack.source.host, "push/docker-test:latest", layer_sizes=[5_000_000, 300])
    wait_for("the image at the target", lambda: digest_at_target(stack, "push/docker-test:latest") == digest)
    execution = stack.wait_for_end(wait_for("an execution", lambda: stack.executions_of(rule))[0]["id"])
    assert (execution["status"], execution["trigger"]) == ("Succeed", "event_based")
    tasks = stack.call("GET", f"/replication/executions/{execution['id']}/tasks").json()
    assert [task["status"] for task in tasks] == ["Succeed"]
    log = stack.call("GET", f"/replication/executions/{execution['id']}/tasks/{tasks[0]['id']}/log").text
    assert digest in log

    stack.skopeo.delete(stack.source.host, "push/docker-test:latest")
    wait_for("the image to go from the target", lambda: not digest_at_target(stack, "push/docker-test:latest"))


def test_a_burst_of_pushes_is_gathered(stack):
    rule = make_event_rule(stack, "burst")
    digests = {
        f"v{n}": stack.skopeo.push_image(stack.source.host, f"burst/app:v{n}", layer_sizes=[1000]) for n in range(12)
    }
    for tag, digest in digests.items():
        wait_for(f"{tag} at the target", lambda t=tag, d=digest: digest_at_target(stack, f"burst/app:{t}") == d)
    assert 1 <= len(stack.executions_of(rule)) <= 12


def test_a_target_that_was_down_gets_the_image_when_it_is_back(stack):
    rule = make_event_rule(stack, "down")
    stack.target.stop()
    digest = stack.skopeo.push_image(stack.source.host, "down/app:v1", layer_sizes=[10_000])
    execution = wait_for("an execution", lambda: stack.executions_of(rule))[0]["id"]

    def attempts() -> int:
        tasks = stack.call("GET", f"/replication/executions/{execution}/tasks").json()
        return tasks[0]["attempts"] if tasks else 0

    wait_for("a second attempt", lambda: attempts() > 1)
    assert stack.execution(execution)["status"] == "InProgress"
    stack.target.start()
    assert stack.wait_for_end(execution)["status"] == "Succeed"
    assert digest_at_target(stack, "down/app:v1") == digest


def test_a_schedule_runs_by_itself(stack):
    # The next whole minute but one, so that the rule is there before its time comes.
    soon = time.gmtime(time.time() + 70)
    digest = stack.skopeo.push_image(stack.source.host, "cron/app:v1", layer_sizes=[1000])
    cron = f"0 {soon.tm_min} {soon.tm_hour} * * *"
    rule = stack.make_rule("cron", trigger={"type": "scheduled", "trigger_settings": {"cron": cron}})
    found = wait_for("the scheduled run", lambda: stack.executions_of(rule), seconds=100)
    assert found[0]["trigger"] == "scheduled"
    assert stack.wait_for_end(found[0]["id"])["status"] == "Succeed"
    assert digest_at_target(stack, "cron/app:v1") == digest


def test_a_stop_in_the_middle_of_a_large_blob_takes_effect(stack):
    stack.skopeo.push_image(stack.source.host, "stop/app:v1", layer_sizes=[50_000_000])
    execution = stack.execute(stack.make_rule("stop", speed=8 * 1024))  # 1 MiB/s: it would take most of a minute
    wait_for("bytes to flow", lambda: stack.execution(execution).get("bytes_copied", 0) > 0)
    asked = time.monotonic()
    stack.call("PUT", f"/replication/executions/{execution}")
    assert stack.wait_for_end(execution, seconds=10)["status"] == "Stopped"
    took = time.monotonic() - asked
    print(f"stopped through API, broker and worker within {took:.3f} s")
    assert took <= 2  # twice what is promised
    assert not digest_at_target(stack, "stop/app:v1")


def test_a_killed_worker_s_execution_is_finished_by_another(stack):
    digest = stack.skopeo.push_image(stack.source.host, "kill/app:v1", layer_sizes=[200_000_000])
    execution = stack.execute(stack.make_rule("kill", speed=400 * 1024))  # 50 MiB/s: about four seconds
    wait_for("bytes to flow", lambda: stack.execution(execution).get("bytes_copied", 0) > 1_000_000)
    killed = stack.part_pids("worker")
    assert killed
    for pid in killed:
        os.kill(pid, signal.SIGKILL)

    ended = stack.wait_for_end(execution, seconds=120)

    assert ended["status"] == "Succeed"
    assert digest_at_target(stack, "kill/app:v1") == digest
    assert set(stack.part_pids("worker")).isdisjoint(killed)
    tasks = stack.call("GET", f"/replication/executions/{execution}/tasks").json()
    assert [task["status"] for task in tasks] == ["Succeed"]


def test_no_secret_is_in_the_output(stack):
    stack.create(
        "/registries",
        {
            "name": "secretive",
            "type": "docker-registry",
            "url": stack.target.url,
            "credential": {"type": "basic", "access_key": "robot", "access_secret": "Hidden-Secret-7"},
        },
    )
    output = stack.log_path.read_text()
    assert "Hidden-Secret-7" not in output
    assert not re.search(r"Traceback|Internal Server Error", output), output
