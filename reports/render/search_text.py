"""The outcome of a search of hyperparameters as Markdown that reads well in a terminal too."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from reports.document.search import SearchResult, Standing

USUAL = {"paper": "Table 6", "mini": "mini's defaults"}


def render_search(results: Iterable[SearchResult]) -> str:
    """A section per task and method: what is done, what wins by either criterion, and where the usual setting is.

    Searches of which nothing was run yet are counted at the end.
    """
    begun: list[SearchResult] = []
    waiting: dict[tuple[str, str], list[SearchResult]] = {}
    for result in results:
        if result.done or result.failed or result.left_out:
            begun.append(result)
        else:
            waiting.setdefault((result.experiment, result.scale), []).append(result)
    parts = ["# Search of hyperparameters, selected on dev\n", *map(_render_result, begun)]
    for (experiment, scale), untouched in waiting.items():
        runs = sum(result.planned for result in untouched)
        systems = f"{len(untouched)} {'search' if len(untouched) == 1 else 'searches'}"
        parts.append(
            f"Of {systems} at scale {scale} nothing was run yet, {runs} runs in all: "
            f"`bench plan {experiment} --scale {scale}`.\n"
        )
    return "\n".join(parts)


def _render_result(result: SearchResult) -> str:
    usual = USUAL[result.scale]
    head = f"## {result.task}, {result.method}, {result.model} ({result.experiment}, {result.scale})"
    lines = [head, "", f"{result.done} of {result.planned} runs are done{_count_others(result)}."]
    lines += [f"- {_render_standing(result, standing, usual)}" for standing in result.standings]
    if not result.usual_on_grid:
        lines.append(f"- {usual} ({_list_values(result.usual)}) is not on this grid.")
    if not result.alike:
        lines.append(f"- The runs differ in {', '.join(result.differing)}: their order may be due to that.")
    if result.standings:
        lines.append("- One seed a setting: neighbours on the grid may differ by chance alone.")
    if result.scale == "mini" and result.done:
        lines.append("- An invented world and a small backbone: it says nothing of the paper's settings.")
    return "\n".join(lines) + "\n"


def _count_others(result: SearchResult) -> str:
    texts = [f"{result.failed} failed"] if result.failed else []
    if result.left_out:
        texts.append(f"{result.left_out} are not comparable with the paper's and left out")
    return f" ({', '.join(texts)})" if texts else ""


def _render_standing(result: SearchResult, standing: Standing, usual: str) -> str:
    winner = standing.winner
    best = "wins" if result.complete else "is the best so far, no winner yet"
    value = winner.dev_loss if standing.criterion == "dev loss" else winner.score
    text = f"{standing.criterion}: {_list_values(winner.values)} {best} ({_format(value)})"
    if winner.values == result.usual:
        return f"{text}; this is the setting of {usual}."
    text = f"{text}; not that of {usual} ({_list_values(result.usual)})"
    if standing.usual_rank is None:
        return f"{text}, whose run is not done." if result.usual_on_grid else f"{text}."
    return f"{text}, which is number {standing.usual_rank} ({_format(standing.usual_value)})."


def _list_values(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items() if value is not None)


def _format(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
