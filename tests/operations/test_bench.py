"""The benchmark's own arithmetic: what it divides, counts, prints and writes."""

import doctest
import json
import os
import socket
import threading
import time
from contextlib import closing

import pytest

from bench import registries, results
from bench.content import make_layer, make_tags
from bench.contest import Effort, Measurement, Scores, Work
from bench.delay import DelayingProxy
from bench.processes import cpu_seconds, descendants, peak_bytes
from bench.registries import Wire, read_access_lines
from bench.results import Outcome, Row, compare, count_requests, ratio, render, to_document
from bench.rivals import crane_commands, regctl_commands, skopeo_commands


@pytest.mark.parametrize("module", [registries, results], ids=lambda module: module.__name__)
def test_the_examples_are_true(module):
    assert doctest.testmod(module).failed == 0


def make_scores(**seconds: list[float]) -> Scores:
    scores = Scores()
    for tool, found in seconds.items():
        for each in found:
            wire = Wire({"GET": 3}, 100)
            scores.add(tool, Measurement(Effort(each, each / 2, told_requests=6), wire, wire))
    return scores


def seconds_of(measurement: Measurement) -> float:
    return measurement.effort.seconds


def test_the_median_of_the_runs_counts_and_not_their_mean():
    assert make_scores(crane=[1.0, 2.0, 30.0]).median("crane", seconds_of) == 2.0


def test_a_ratio_divides_our_median_by_the_rival_s():
    scores = make_scores(HarborSync=[3.0, 1.0, 2.0], crane=[4.0, 4.0, 9.0])
    assert ratio(scores, "crane", seconds_of) == 0.5


def test_a_tool_that_is_not_there_is_not_measured():
    rows = compare("case", make_scores(HarborSync=[1.0], skopeo=[2.0]), {"crane": 0.9, "skopeo": 0.6})
    verdicts = {row.what: row.verdict for row in rows if "CPU" not in row.what and "requests" not in row.what}
    assert verdicts == {
        "time, against skopeo": "reached",
        "time, against crane": "not measured",
        "time, against regctl": "not measured",
    }


@pytest.mark.parametrize(
    ("found", "limit", "verdict"),
    [(0.904, 0.9, "reached"), (0.906, 0.9, "MISSED"), (None, 0.9, "not measured"), (0.5, None, "")],
)
def test_a_verdict_is_as_precise_as_what_is_printed(found, limit, verdict):
    assert Row("case", "what", found, limit).verdict == verdict


def test_requests_are_those_of_both_sides_and_compared_with_the_count_of_the_api():
    wire, miscounted = count_requests("case", make_scores(HarborSync=[1.0]), limit=6)
    assert (wire.found, wire.verdict, miscounted.found, miscounted.verdict) == (6, "reached", 0, "reached")


def test_the_registries_alone_are_set_against_the_rival_s_time():
    wire = Wire({"GET": 3}, 100)
    scores = Scores()
    scores.add("HarborSync", Measurement(Effort(5.0, 1.0), wire, wire, registries_cpu_seconds=4.0))
    scores.add("crane", Measurement(Effort(8.0, 1.0), wire, wire, registries_cpu_seconds=9.0))

    found = {row.what: row.found for row in compare("case", scores, {}, rivals=["crane"])}

    processors = len(os.sched_getaffinity(0))
    assert found["our registries' CPU time alone, against crane's time"] == 4.0 / processors / 8.0


def test_the_table_is_markdown_with_columns_in_line():
    lines = render(
        [Row("a", "time, against crane", 0.5, 0.9), Row("long-name", "requests", 2003.0, unit="")]
    ).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert [cell.strip() for cell in lines[2].split("|")] == [
        "", "a", "time, against crane", "0.50 ×", "≤ 0.90 ×", "reached", "",
    ]  # fmt: skip
    assert "2,003" in lines[3]


def test_everything_found_can_be_written_as_json():
    outcome = Outcome([Row("case", "what", None)], {"new": make_scores(crane=[1.0])})
    document = json.loads(json.dumps(to_document({"case": outcome})))
    assert document["case"]["rows"][0]["verdict"] == "not measured"
    assert document["case"]["contests"]["new"]["crane"][0]["source"] == {"requests": {"GET": 3}, "sent_bytes": 100}


def test_an_access_log_tells_requests_by_method_and_the_bytes_that_were_sent():
    log = b"""time="2026-01-01T00:00:00Z" level=info msg="response completed" http.request.method=GET
127.0.0.1 - - [01/Jan/2026:00:00:00 +0000] "GET /v2/a/blobs/sha256:1 HTTP/1.1" 200 5000 "" "skopeo/1.9.3"
127.0.0.1 - - [01/Jan/2026:00:00:00 +0000] "HEAD /v2/a/manifests/v1 HTTP/1.1" 404 92 "" "crane"
127.0.0.1 - - [01/Jan/2026:00:00:00 +0000] "GET /v2/ HTTP/1.1" 200 2 "" ""
"""
    assert read_access_lines(log) == Wire({"GET": 2, "HEAD": 1}, 5002)
    assert (Wire({"GET": 1}, 1) + Wire({"GET": 1, "PUT": 1}, 2)) == Wire({"GET": 2, "PUT": 1}, 3)


def test_every_tool_is_told_the_same_work():
    one = Work("a:1", ("b:2", "c:3"), "team/app", "v1")
    for commands in (skopeo_commands(one), crane_commands(one), regctl_commands(one)):
        assert [line[-1].removeprefix("docker://") for line in commands] == ["b:2/team/app:v1", "c:3/team/app:v1"]
    every = Work("a:1", ("b:2",), "team/app")
    assert skopeo_commands(every)[0][-2:] == ["a:1/team/app", "b:2/team"]
    assert crane_commands(every)[0][-2:] == ["a:1/team/app", "b:2/team/app"]
    assert regctl_commands(every)[0][-2:] == ["a:1/team/app", "b:2/team/app"]


def test_images_share_their_base_and_differ_in_the_rest():
    first, second = (artifact for _, artifact in make_tags(2, "seed", base_bytes=5000, layer_bytes=300))
    assert len(first.blobs.keys() & second.blobs.keys()) == 1
    assert first.root.digest != second.root.digest


def test_a_layer_is_a_gzip_member_of_about_the_size_asked_for():
    layer = make_layer(100_000, "seed")
    assert next(iter(layer.read())).startswith(b"\x1f\x8b\x08")
    assert 100_000 <= layer.size_bytes < 101_000


def test_a_process_has_used_time_and_memory_and_a_gone_one_none():
    assert cpu_seconds([os.getpid()]) > 0
    assert peak_bytes(os.getpid()) > 1 << 20
    gone = 2**22 + 1
    assert (cpu_seconds([gone]), peak_bytes(gone), list(descendants(gone))) == (0, 0, [])


def test_the_slow_link_delays_a_round_trip_and_loses_nothing():
    sent = bytes(range(256)) * 4096
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        echo = threading.Thread(target=echo_once, args=(server,), daemon=True)
        echo.start()
        with (
            DelayingProxy(target_port=server.getsockname()[1], round_trip_seconds=0.1) as link,
            closing(socket.create_connection(("127.0.0.1", link.port), timeout=10)) as client,
        ):
            begun_at = time.monotonic()
            client.sendall(b"?")
            assert client.recv(1) == b"?"
            assert 0.1 <= time.monotonic() - begun_at < 1
            sender = threading.Thread(target=client.sendall, args=(sent,), daemon=True)
            sender.start()
            assert receive(client, len(sent)) == sent
            sender.join(10)
        echo.join(10)
        assert not echo.is_alive()


def echo_once(server: socket.socket) -> None:
    connection, _ = server.accept()
    with connection:
        while block := connection.recv(1 << 16):
            connection.sendall(block)


def receive(client: socket.socket, size_bytes: int) -> bytes:
    received = bytearray()
    while len(received) < size_bytes:
        received += client.recv(1 << 16)
    return bytes(received)
