"""The other tools, each with the command that its users would type for the work."""

import re
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.contest import Contestant, Effort, Work
from bench.processes import children_cpu_seconds
from registry.testkit.process import find_program

LIMIT_SECONDS = 3600.0
Command = list[str]


class ToolFailedError(RuntimeError):
    """A tool ended with an error; the text is its own."""


@dataclass(frozen=True)
class CommandLineTool:
    """A program that is started once per target and ends when its work is done."""

    name: str
    version: str
    commands: Callable[[Work], list[Command]]

    def prepare(self, work: Work) -> Callable[[], Effort]:
        """Nothing is to be prepared: everything such a tool does counts."""
        commands = self.commands(work)
        return lambda: _run(commands)


def _run(commands: Sequence[Command]) -> Effort:
    cpu_before = children_cpu_seconds()
    begun_at = time.perf_counter()
    for command in commands:
        finished = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LIMIT_SECONDS)  # noqa: S603
        if finished.returncode:
            raise ToolFailedError(f"{' '.join(command)}: {finished.stderr[-2000:] or finished.stdout[-2000:]}")
    return Effort(time.perf_counter() - begun_at, children_cpu_seconds() - cpu_before)


def skopeo_commands(work: Work) -> list[Command]:
    """`skopeo copy` for a tag, `skopeo sync` for a repository; with every platform and no change of manifests."""
    plain = ["--all", "--preserve-digests", "--src-tls-verify=false", "--dest-tls-verify=false"]
    program = ["skopeo", "--insecure-policy"]
    here = f"{work.source}/{work.repository}"
    if work.tag:
        places = [f"{target}/{work.repository}:{work.tag}" for target in work.targets]
        return [[*program, "copy", *plain, f"docker://{here}:{work.tag}", f"docker://{place}"] for place in places]
    # sync puts the repository's last name below the destination.
    parents = [f"{target}/{work.repository.rpartition('/')[0]}" for target in work.targets]
    return [[*program, "sync", *plain, "--src", "docker", "--dest", "docker", here, parent] for parent in parents]


def crane_commands(work: Work) -> list[Command]:
    """`crane cp`, with `-a` for a repository."""
    every = [] if work.tag else ["--all-tags"]
    tag = f":{work.tag}" if work.tag else ""
    here = f"{work.source}/{work.repository}{tag}"
    return [["crane", "copy", *every, here, f"{target}/{work.repository}{tag}"] for target in work.targets]


def regctl_commands(work: Work) -> list[Command]:
    """`regctl image copy` for a tag, `regctl repo copy` for a repository."""
    commands = []
    for target in work.targets:
        hosts = [option for host in (work.source, target) for option in ("--host", f"reg={host},tls=disabled")]
        noun, tag = ("image", f":{work.tag}") if work.tag else ("repo", "")
        here, there = f"{work.source}/{work.repository}{tag}", f"{target}/{work.repository}{tag}"
        commands.append(["regctl", *hosts, noun, "copy", here, there])
    return commands


def find_rivals() -> list[Contestant]:
    """Find skopeo, which has to be there, and of the others those that are on PATH."""
    find_program("skopeo", package="skopeo")
    tools: list[tuple[str, Command, Callable[[Work], list[Command]]]] = [
        ("skopeo", ["skopeo", "--version"], skopeo_commands),
        ("crane", ["crane", "version"], crane_commands),
        ("regctl", ["regctl", "version"], regctl_commands),
    ]
    return [
        CommandLineTool(name, read_version(command), commands)
        for name, command, commands in tools
        if shutil.which(name)
    ]


def read_version(command: Command) -> str:
    """Ask a program for its version; what it says first, where that holds no number."""
    said = subprocess.run(command, capture_output=True, text=True, check=False).stdout  # noqa: S603
    found = re.search(r"\d+\.\d+[\w.+-]*", said)
    return found.group() if found else said.strip().partition("\n")[0]
