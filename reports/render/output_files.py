"""A report as files: what each format consists of, and writing them so that no half of it is left."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from bench.errors import UserError
from bench.system import files, json_files
from bench.system.outputs import probe_place
from reports import FORMATS
from reports.document.schema import Report
from reports.render import csv_table, html_page, latex, markdown, plots

ELSEWHERE = "Nothing was changed; choose another place: --out DIR"
Files = Mapping[str, bytes]
"""Relative path -> content."""


class FigureFiles(NamedTuple):
    """``files``: path -> content of every figure's files; ``svgs``: figure -> its drawing."""

    files: dict[str, bytes]
    svgs: dict[str, bytes]


def render_text(report: Report, form: str) -> str:
    """The report as one text, without drawings."""
    if form == "json":
        return json_files.to_json(report.to_json(), indent=2) + "\n"
    if form == "csv":
        cells = [csv_table.render_csv(report)] if report.tables else []
        return "\r\n".join([*cells, *render_csv_parts(report).values()])
    renderers = {
        "md": markdown.render_markdown,
        "tex": latex.render_latex,
        "html": html_page.render_html,
    }
    return renderers[form](report)


def render_files(report: Report, form: str) -> dict[str, bytes]:
    """All files of the report in one format; the one to open first is last."""
    if form not in FORMATS:
        raise UserError(f"{form!r} is no format; expected one of {', '.join(FORMATS)}")
    if form == "json":
        return {"report.json": render_text(report, form).encode()}
    if form == "csv":
        return render_csv_files(report)
    figures = draw_figures(report)
    if form == "html":
        inline = {name: plots.inline_svg(svg, name) for name, svg in figures.svgs.items()}
        paths = {name: [f"figures/{name}.{ext}" for ext in plots.FORMATS] for name in figures.svgs}
        page = html_page.render_html(report, inline, paths)
        return {**figures.files, "index.html": page.encode()}
    if form == "tex":
        pdfs = {name: f"figures/{name}.pdf" for name in figures.svgs}
        return {**figures.files, "report.tex": latex.render_latex(report, pdfs).encode()}
    images = {name: f"figures/{name}.svg" for name in figures.svgs}
    return {**figures.files, "report.md": markdown.render_markdown(report, images).encode()}


def render_csv_files(report: Report) -> dict[str, bytes]:
    """A file for each table that has cells, and for what is no cell."""
    files = {
        f"{table.id}.csv": csv_table.format_lines([csv_table.COLUMNS, *csv_table.list_rows(table)]).encode()
        for table in report.tables
        if table.blocks
    }
    return files | {f"{name}.csv": text.encode() for name, text in render_csv_parts(report).items()}


def render_csv_parts(report: Report) -> dict[str, str]:
    """What is no cell of a table, by name, as far as there is any."""
    renderers = {
        "rows": (csv_table.render_rows, report.rows),
        "examples": (csv_table.render_examples, report.examples),
        "disputes": (csv_table.render_disputes, report.disputes),
        "claims": (csv_table.render_claims, report.claims),
    }
    return {name: render(report) for name, (render, entries) in renderers.items() if entries}


def draw_figures(report: Report) -> FigureFiles:
    """Every figure at the paper's scale, and at scale mini where something ran."""
    figures = FigureFiles({}, {})
    for figure in report.figures:
        for scale in ("paper", "mini"):
            if scale == "mini" and not plots.has_points(figure, scale):
                continue
            name = figure.id if scale == "paper" else f"{figure.id}-mini"
            for ext, content in plots.draw_figure(figure, scale).items():
                figures.files[f"figures/{name}.{ext}"] = content
                if ext == "svg":
                    figures.svgs[name] = content
    return figures


def write_files(folder: Path, content: Files) -> list[Path]:
    """Write all files below ``folder``: on a full disk what was there before stays, whole.

    Everything is written to a folder of its own inside first; only then are the files moved to their places,
    which takes no room, the one to open first last. Files of an earlier report that this one does not have
    stay. ``bench.system.files.StorageError`` says what to do where writing fails.
    """
    stage = files.make_temporary_name(
        folder / "report"
    )  # inside, because "." and "/" have nothing beside them
    new = not folder.exists()
    try:
        files.make_directory(folder)
        files.remove_leftovers(folder)
        for name in content:
            check_free(folder / name)
        for name, data in content.items():
            files.write_atomic(stage / name, data)
        for name in content:
            files.make_directory((folder / name).parent)
        for name in content:
            (stage / name).replace(folder / name)
    except OSError as error:
        raise explain_failure(folder, error) from error
    except files.StorageError as error:  # of a temporary name, which means nothing to anybody
        raise explain_failure(folder, error.__cause__) if error.__cause__ else error from error
    finally:
        shutil.rmtree(stage, ignore_errors=True)
        if new:
            with contextlib.suppress(OSError):  # only where it stayed empty
                folder.rmdir()
    return [folder / name for name in content]


def probe_folder(folder: Path) -> None:
    """``StorageError`` where nothing can be written to ``folder``; nothing is left there."""
    try:
        probe_place(folder / "index.html")
    except OSError as error:
        raise explain_failure(folder, error) from error


def check_free(path: Path) -> None:
    """Refuse before anything is moved, where a folder has a file's name or a file a folder's."""
    problem = "a directory has that name" if path.is_dir() else ""
    if path.parent.exists() and not path.parent.is_dir():
        problem = f"{path.parent} is a file, not a directory"
    if problem:
        raise files.StorageError(f"cannot write {path}: {problem}. {ELSEWHERE}")


def explain_failure(folder: Path, error: BaseException) -> files.StorageError:
    """Why nothing could be written to ``folder``."""
    explained = files.explain_storage_error(folder / "index.html", error)
    reason = error.strerror if isinstance(error, OSError) else error
    return explained or files.StorageError(f"cannot write the report to {folder}: {reason}. {ELSEWHERE}")
