"""`python -m bench`: run the cases, print the table, write everything as JSON."""

import argparse
import json
import logging
import os
import platform
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import Any

from bench.arena import Arena, Scale, choose_workshop
from bench.cases import CASES
from bench.product import running_product
from bench.registries import fresh_registry
from bench.results import OURS, Outcome, render, to_document
from bench.rivals import find_rivals, read_version

RESULTS = Path(__file__).resolve().parent / "results"

logger = logging.getLogger("bench")


def read_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="bench", description="HarborSync beside skopeo, crane and regctl.")
    parser.add_argument("--case", choices=list(CASES), help="only this case (default: all)")
    parser.add_argument("--runs", type=int, default=5, help="runs of each tool; the median counts")
    parser.add_argument("--scale", type=float, default=1.0, help="part of the full sizes; below 1 a rehearsal")
    parser.add_argument("--output", type=Path, help="where the JSON goes (default: bench/results/TIME.json)")
    parser.add_argument("--directory", type=Path, help="where registries store (default: memory, if there is enough)")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> None:
    """Run what was asked for; each case's table is printed as it ends."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s")
    logger.setLevel(logging.INFO)
    options = read_arguments(arguments)
    # Whoever ends the benchmark ends its servers too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    directory = options.directory or choose_workshop(Path(gettempdir()))
    outcomes: dict[str, Outcome] = {}
    with open_arena(directory, Scale(options.scale), options.runs) as arena:
        settings = describe(arena, directory)
        arena.warm_up()
        for name in [options.case] if options.case else CASES:
            logger.info("bench.case name=%s runs=%d scale=%g", name, arena.runs, arena.scale.factor)
            outcomes[name] = CASES[name](arena)
            show(render(outcomes[name].rows))
    path = options.output or RESULTS / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**settings, "cases": to_document(outcomes)}, indent=1))
    if len(outcomes) > 1:
        show(f"\n{render([row for outcome in outcomes.values() for row in outcome.rows])}\n")
    show("".join(f"{tool} {version}\n" for tool, version in settings["versions"].items()))
    if options.scale < 1:
        show(f"A rehearsal at {options.scale:g} of the full size: nothing to claim from.")
    show(f"Every run is in {path}")


@contextmanager
def open_arena(directory: Path, scale: Scale, runs: int) -> Iterator[Arena]:
    """Start the source registry and the product."""
    with (
        TemporaryDirectory(dir=directory, prefix="harborsync-bench-") as workshop,
        fresh_registry(Path(workshop)) as source,
        running_product(source.url) as product,
    ):
        yield Arena(Path(workshop), source, product, find_rivals(), scale, runs)


def describe(arena: Arena, directory: Path) -> dict[str, Any]:
    """Say what was measured with, and on what."""
    versions = {tool.name: tool.version for tool in arena.contestants}
    return {
        "at": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "runs": arena.runs,
        "scale": arena.scale.factor,
        "processors": os.cpu_count(),
        "storage": str(directory),
        "versions": {
            **versions,
            "docker-registry": read_version(["docker-registry", "--version"]),
            "Python": platform.python_version(),
            "Linux": platform.release(),
        },
        "ours": OURS,
    }


def show(text: str) -> None:
    """Print at once, also into a pipe."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
