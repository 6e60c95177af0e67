"""From measurements to rows of a table: a figure, what it must reach, and whether it does."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from bench.contest import Measurement, Scores

OURS = "HarborSync"
RIVALS = ("skopeo", "crane", "regctl")
HEADINGS = ("case", "what", "found", "must reach", "")


@dataclass(frozen=True)
class Row:
    """One figure. `found` is None where it was not measured, `limit` None where nothing was promised."""

    case: str
    what: str
    found: float | None
    limit: float | None = None
    unit: str = "×"

    @property
    def verdict(self) -> str:
        """Compare as precisely as it is printed.

        >>> Row("one", "time, against crane", 0.904, 0.9).verdict, Row("one", "requests", None, 5).verdict
        ('reached', 'not measured')
        """
        if self.found is None:
            return "not measured"
        if self.limit is None:
            return ""
        return "reached" if round(self.found, self._places) <= self.limit else "MISSED"

    @property
    def _places(self) -> int:
        return 2 if self.unit == "×" else 0

    def cells(self) -> tuple[str, str, str, str, str]:
        """Give the row as it is printed."""
        return self.case, self.what, self._show(self.found, "–"), self._show(self.limit, "", "≤ "), self.verdict

    def _show(self, value: float | None, absent: str, prefix: str = "") -> str:
        if value is None:
            return absent
        gap = " " if self.unit else ""
        return f"{prefix}{value:,.{self._places}f}{gap}{self.unit}"


@dataclass(frozen=True)
class Outcome:
    """What a case found: its rows, and every run behind them, `{contest: scores}`."""

    rows: Sequence[Row]
    contests: Mapping[str, Scores] = field(default_factory=dict)


def ratio(scores: Scores, rival: str, read: Callable[[Measurement], float]) -> float | None:
    """Divide our median by a rival's; None where either did not run.

    >>> ratio(Scores(), "crane", lambda measurement: measurement.effort.seconds) is None
    True
    """
    ours, theirs = scores.median(OURS, read), scores.median(rival, read)
    return ours / theirs if ours is not None and theirs else None


def compare(
    case: str, scores: Scores, limits: Mapping[str, float], *, what: str = "", rivals: Sequence[str] = RIVALS
) -> list[Row]:
    """Compare time, CPU time and requests with each rival; `limits` is `{rival: limit of time}`."""
    prefix = f"{what}: " if what else ""
    rows = []
    for rival in rivals:
        rows.append(Row(case, f"{prefix}time, against {rival}", ratio(scores, rival, _seconds), limits.get(rival)))
    for rival in rivals:
        rows.append(Row(case, f"{prefix}CPU time, against {rival}", ratio(scores, rival, _cpu_seconds)))
        rows.append(Row(case, f"{prefix}requests, against {rival}", ratio(scores, rival, _requests)))
    return [*rows, *_floors(case, scores, prefix, rivals)]


def _floors(case: str, scores: Scores, prefix: str, rivals: Sequence[str]) -> list[Row]:
    """Tell what our runs' registries alone would take of a rival's time, with every processor busy all the time.

    They run on the same machine: a tool that costs nothing itself could not be quicker than that against this rival.
    """
    rows = []
    for rival in rivals:
        ours, theirs = scores.median(OURS, _registries_cpu), scores.median(rival, _seconds)
        found = ours / len(os.sched_getaffinity(0)) / theirs if ours is not None and theirs else None
        rows.append(Row(case, f"{prefix}our registries' CPU time alone, against {rival}'s time", found))
    return rows


def count_requests(case: str, scores: Scores, *, limit: float | None = None, what: str = "") -> list[Row]:
    """Tell our requests as the registries saw them, and how far the application's own count is from that."""
    prefix = f"{what}: " if what else ""
    runs = scores.runs[OURS]
    told = [abs(run.requests - run.effort.told_requests) for run in runs if run.effort.told_requests is not None]
    return [
        Row(case, f"{prefix}requests on the wire", scores.median(OURS, _requests), limit, unit=""),
        Row(case, f"{prefix}requests miscounted by our API", max(told) if told else None, 0, unit=""),
    ]


def _seconds(measurement: Measurement) -> float:
    return measurement.effort.seconds


def _cpu_seconds(measurement: Measurement) -> float:
    return measurement.effort.cpu_seconds


def _registries_cpu(measurement: Measurement) -> float:
    return measurement.registries_cpu_seconds


def _requests(measurement: Measurement) -> float:
    return measurement.requests


def render(rows: Sequence[Row]) -> str:
    """Lay the rows out as a table that Markdown takes."""
    table = [HEADINGS, *(row.cells() for row in rows)]
    widths = [max(len(cells[column]) for cells in table) for column in range(len(HEADINGS))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"
        for cells in table
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def to_document(outcomes: Mapping[str, Outcome]) -> dict[str, Any]:
    """Give everything found as JSON values."""
    return {
        name: {
            "rows": [{**asdict(row), "verdict": row.verdict} for row in outcome.rows],
            "contests": {
                contest: {tool: [asdict(run) for run in runs] for tool, runs in scores.runs.items()}
                for contest, scores in outcome.contests.items()
            },
        }
        for name, outcome in outcomes.items()
    }
