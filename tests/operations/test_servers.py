"""The real servers that other tests rely on start, serve, stop and come back."""

import psycopg
import pytest
import redis
import requests

from registry.testkit import GeneratedContent, build_image, digest_of
from registry.testkit.process import find_program
from tests.servers import MissingProgramError, PostgresCluster, Skopeo, SkopeoError, ValkeyServer, wait_until
from tests.servers.listener import Listener


def test_skopeo_pushes_an_image_byte_for_byte(docker_registry, skopeo):
    digest = skopeo.push_image(docker_registry.host, "servers/small:v1", layer_sizes=[1_000, 2_000_000])
    assert skopeo.digest(docker_registry.host, "servers/small:v1") == digest


def test_images_of_another_seed_are_other_images(docker_registry, skopeo):
    first = skopeo.push_image(docker_registry.host, "servers/seeded:v1", seed="one")
    assert skopeo.push_image(docker_registry.host, "servers/seeded:v1", seed="two") != first


def test_skopeo_says_why_it_failed(docker_registry, skopeo):
    with pytest.raises(SkopeoError, match="manifest unknown"):
        skopeo.digest(docker_registry.host, "servers/none:v1")


def test_skopeo_deletes(docker_registry, skopeo):
    skopeo.push_image(docker_registry.host, "servers/gone:v1")
    skopeo.delete(docker_registry.host, "servers/gone:v1")
    assert requests.get(f"{docker_registry.url}/v2/servers/gone/tags/list").json()["tags"] is None


def test_a_registry_comes_back_on_its_port_with_its_content(start_docker_registry, skopeo):
    registry = start_docker_registry()
    digest = skopeo.push_image(registry.host, "a/b:v1")
    registry.stop()
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{registry.url}/v2/")
    registry.start()
    assert skopeo.digest(registry.host, "a/b:v1") == digest


def test_a_registry_with_a_password_asks_for_it(start_docker_registry):
    registry = start_docker_registry(with_password=True)
    assert requests.get(f"{registry.url}/v2/").status_code == 401
    skopeo = Skopeo(registry.username, registry.password)
    assert skopeo.push_image(registry.host, "a/b:v1") == skopeo.digest(registry.host, "a/b:v1")


def test_a_registry_notifies_of_pushes_with_its_headers(start_docker_registry, skopeo):
    with Listener() as listener:
        registry = start_docker_registry(notify_url=listener.url, notify_headers={"Authorization": "Bearer t"})
        digest = skopeo.push_image(registry.host, "a/b:v1")

        def pushed():
            return [event for event in listener.events if event["target"].get("tag") == "v1"]

        assert wait_until(lambda: bool(pushed()), seconds=10)
        assert pushed()[0]["target"]["digest"] == digest
        assert listener.received[0][0]["Authorization"] == "Bearer t"


def test_a_large_image_is_streamed_to_the_registry(docker_registry, skopeo):
    image = build_image([GeneratedContent(30_000_000, "large")])
    assert skopeo.push(docker_registry.host, "servers/large:v1", image) == image.digest
    layer = next(digest for digest, content in image.blobs.items() if content.size_bytes == 30_000_000)
    answer = requests.get(f"{docker_registry.url}/v2/servers/large/blobs/{layer}")
    assert digest_of(answer.content) == layer


def test_valkey_serves_and_is_empty_after_a_restart(tmp_path):
    with ValkeyServer(tmp_path / "valkey") as server:
        redis.Redis.from_url(server.url).set("key", "value")
        server.stop()
        server.start()
        assert redis.Redis.from_url(server.url).get("key") is None


@pytest.mark.slow
def test_postgres_serves_its_database():
    with PostgresCluster() as cluster, psycopg.connect(cluster.url) as connection:
        assert connection.execute("SELECT current_user").fetchone() == ("harborsync",)
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(cluster.url, connect_timeout=1)


def test_a_missing_program_is_named_with_its_package():
    with pytest.raises(MissingProgramError, match="apt-get install some-package"):
        find_program("no-such-program", package="some-package")
