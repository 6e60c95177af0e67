"""The product as it is started by hand: everything under one supervisor, and the demonstration."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
import uuid
from contextlib import closing
from pathlib import Path
from socket import socket

import psycopg
import pytest
import requests
from cryptography.fernet import Fernet

from tests.operations.test_supervisor import is_alive
from tests.servers import free_port, wait_until

ROOT = Path(__file__).parents[2]
NOT_OURS = ("DATABASE_URL", "REDIS_URL", "SECRET_KEY", "ENCRYPTION_KEYS")
SECRET_FILES = ("secret_key", "encryption_key", "password", "valkey.conf")
pytestmark = pytest.mark.slow
# The demonstration brings its own database, so that it need not be seen on both.
needs_no_database = pytest.mark.skipif("DATABASE_URL" in os.environ, reason="seen in the run on SQLite")


def environment(directory, **settings):
    """The environment of an installation of its own; on PostgreSQL when the suite runs on it."""
    kept = {name: value for name, value in os.environ.items() if name not in NOT_OURS}
    return kept | {"HARBORSYNC_DATA_DIR": str(directory), "HARBORSYNC_WORKER_PROCESSES": "1"} | database() | settings


def database():
    url = os.environ.get("DATABASE_URL", "")
    if not url.startswith("postgres"):
        return {}
    name = f"running_{uuid.uuid4().hex}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    keys = {"SECRET_KEY": "only-for-this-test", "ENCRYPTION_KEYS": Fernet.generate_key().decode()}
    return {"DATABASE_URL": f"{url.rpartition('/')[0]}/{name}", **keys}


def parent_of(pid):
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def command_of(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


class Product:
    """`manage.py up` on a free port."""

    def __init__(self, directory: Path, **settings: str) -> None:
        self.port = free_port()
        self.directory = directory
        self.output = ""
        self.process = subprocess.Popen(
            [sys.executable, "manage.py", "up", "--bind", "127.0.0.1"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=ROOT,
            env=environment(directory, PORT=str(self.port), **settings),
        )
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self.process.stdout:
            self.output += line

    def wait_until_ready(self):
        ready = wait_until(lambda: "is ready" in self.output or self.process.poll() is not None, seconds=90)
        assert ready, self.output
        assert self.process.poll() is None, self.output

    def answers(self):
        try:
            return requests.get(f"http://127.0.0.1:{self.port}/api/v2.0/ping", timeout=5).ok
        except requests.RequestException:
            return False

    def children(self):
        """Give {pid: command line} of everything below the supervisor."""
        found, generation = {}, [self.process.pid]
        parents = {pid: parent_of(pid) for pid in map(int, (p.name for p in Path("/proc").glob("[0-9]*")))}
        while generation:
            generation = [pid for pid, parent in parents.items() if parent in generation]
            found |= {pid: command_of(pid) for pid in generation if is_alive(pid)}
        return found

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(20)


@pytest.fixture
def product(tmp_path):
    """An installation of the test's own."""
    product = Product(tmp_path)
    product.wait_until_ready()
    yield product
    product.stop()


@pytest.fixture(scope="module")
def shared_product(tmp_path_factory):
    """One installation for the tests that only look at it."""
    product = Product(tmp_path_factory.mktemp("product"))
    product.wait_until_ready()
    yield product
    product.stop()


def test_everything_runs_and_stops_with_ctrl_c(product):
    assert product.answers()
    running = product.children()
    for part in ("valkey-server", "gunicorn", "manage.py worker", "manage.py scheduler"):
        assert any(part in command for command in running.values()), (part, running)
    began_at = time.monotonic()
    product.process.send_signal(signal.SIGINT)
    assert product.process.wait(15) == 0, product.output
    assert time.monotonic() - began_at < 10
    assert not [command for pid, command in running.items() if is_alive(pid)]


def test_no_process_outlives_a_killed_supervisor(product):
    running = product.children()
    product.process.kill()
    product.process.wait()
    assert wait_until(lambda: not any(is_alive(pid) for pid in running), seconds=15), running


def test_the_generated_password_is_on_the_terminal_and_nowhere_else(shared_product):
    password = re.search(r"shown only this once: (\S+)", shared_product.output)[1]
    url = f"http://127.0.0.1:{shared_product.port}/api/v2.0/users/current"
    assert requests.get(url, auth=("admin", password)).json()["sysadmin_flag"] is True
    for path in shared_product.directory.rglob("*.log"):
        assert password not in path.read_text(errors="replace")


def test_the_secrets_it_makes_are_for_its_owner_only(shared_product):
    made = [path for path in shared_product.directory.rglob("*") if path.name in SECRET_FILES]
    assert "valkey.conf" in {path.name for path in made}
    assert [path for path in made if path.stat().st_mode & 0o077] == []


def test_two_installations_do_not_share_a_data_directory(shared_product):
    finished = run_manage("up", env=environment(shared_product.directory, PORT=str(free_port())))
    assert finished.returncode == 1
    assert "runs in" in finished.stderr


def test_a_worker_that_is_killed_comes_back(shared_product):
    workers = [pid for pid, command in shared_product.children().items() if "manage.py worker" in command]
    for pid in workers:
        os.kill(pid, signal.SIGKILL)

    def has_new_worker():
        running = shared_product.children()
        return any("manage.py worker" in command and pid not in workers for pid, command in running.items())

    assert wait_until(has_new_worker, seconds=30)
    assert shared_product.answers()


def run_manage(*arguments, env):
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=env,
        timeout=90,
        check=False,
    )


def test_a_port_that_is_taken_is_named(tmp_path):
    with closing(socket()) as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        finished = run_manage("up", "--bind", "127.0.0.1", env=environment(tmp_path, PORT=str(port)))
    assert finished.returncode == 1
    assert f"Port {port} cannot be used" in finished.stderr
    assert "Traceback" not in finished.stderr


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"PORT": "abc"}, "PORT must be a number from 1 to 65535; it is 'abc'."),
        ({"PORT": "99999999"}, "PORT must be a number from 1 to 65535; it is '99999999'."),
        ({"HARBORSYNC_WORKER_PROCESSES": "many"}, "HARBORSYNC_WORKER_PROCESSES must be a number"),
        ({"DATABASE_URL": "nonsense"}, "DATABASE_URL begins with 'nonsense'"),
        ({"SECRET_KEY_FILE": "/no/such/file"}, "/no/such/file"),
        ({"HARBORSYNC_DATA_DIR": "/proc/nowhere"}, "/proc/nowhere"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else "",
)
def test_a_wrong_setting_is_named_without_a_traceback(tmp_path, settings, said):
    finished = run_manage("up", env=environment(tmp_path) | settings)
    assert finished.returncode == 1
    assert said in finished.stderr
    assert "Traceback" not in finished.stderr


def test_a_database_that_does_not_answer_is_named_without_a_traceback(tmp_path):
    keys = {"SECRET_KEY": "only-for-this-test", "ENCRYPTION_KEYS": Fernet.generate_key().decode()}
    url = f"postgresql://harborsync:hidden@127.0.0.1:{free_port()}/harborsync"
    finished = run_manage("prepare", env=environment(tmp_path) | keys | {"DATABASE_URL": url})
    assert finished.returncode == 1
    assert "The database cannot be used: " in finished.stderr
    assert "Traceback" not in finished.stderr
    assert "hidden" not in finished.stderr


def run_demo(path=None):
    settings = {"DEMO_EXIT": "1", "PORT": str(free_port())}
    if path:
        settings["PATH"] = path
    return subprocess.run(
        [sys.executable, "manage.py", "demo"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={name: value for name, value in (os.environ | settings).items() if name not in NOT_OURS},
        timeout=240,
        check=False,
    )


def digests(output):
    return re.findall(r"Digest at the (?:source|target) (sha256:[0-9a-f]{64})", output)


@needs_no_database
def test_the_demonstration_ends_with_two_equal_digests():
    finished = run_demo()
    assert finished.returncode == 0, finished.stdout + finished.stderr
    source, target = digests(finished.stdout)
    assert source == target
    assert "by skopeo" in finished.stdout


@needs_no_database
def test_the_demonstration_needs_no_programs_of_the_machine(tmp_path):
    finished = run_demo(path=str(tmp_path))
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert "in-memory registry" in finished.stdout
    assert len(set(digests(finished.stdout))) == 1
