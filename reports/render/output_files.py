"""A report as files: what each format consists of, and writing them so that no half of it is left."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Mapping
from pathlib import Path

from bench.errors import UserError
from bench.system import files, json_files
from reports import FORMATS
from reports.document.schema import Report
from reports.render import csv_table, html_page, latex, markdown, plots

ELSEWHERE = "Nothing was changed; choose another place: --out DIR"
Files = Mapping[str, bytes]
"""Relative path -> content."""


def text(report: Report, form: str) -> str:
    """The report as one text, without drawings."""
    if form == "json":
        return json_files.to_json(report.as_json(), indent=2) + "\n"
    if form == "csv":
        both = [csv_table.page(report)] if report.tables else []
        return "\r\n".join([*both, *([csv_table.claims(report)] if report.claims else [])])
    return {"md": markdown.page, "tex": latex.render_latex, "html": html_page.render_html}[form](report)


def make(report: Report, form: str) -> dict[str, bytes]:
    """All files of the report in one format; the one to open first is last."""
    if form not in FORMATS:
        raise UserError(f"{form!r} is no format; expected one of {', '.join(FORMATS)}")
    if form == "json":
        return {"report.json": text(report, form).encode()}
    if form == "csv":
        made = {
            f"{table.id}.csv": csv_table.lines([csv_table.COLUMNS, *csv_table.rows(table)]).encode()
            for table in report.tables
            if table.blocks
        }
        return made | ({"claims.csv": csv_table.claims(report).encode()} if report.claims else {})
    made, drawn = drawings(report)
    if form == "html":
        inline = {name: plots.inline(svg, name) for name, svg in drawn.items()}
        paths = {name: [f"figures/{name}.{ext}" for ext in plots.FORMATS] for name in drawn}
        return {**made, "index.html": html_page.render_html(report, inline, paths).encode()}
    if form == "tex":
        pdfs = {name: f"figures/{name}.pdf" for name in drawn}
        return {**made, "report.tex": latex.render_latex(report, pdfs).encode()}
    images = {name: f"figures/{name}.svg" for name in drawn}
    return {**made, "report.md": markdown.page(report, images).encode()}


def drawings(report: Report) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """(path -> content of every figure's files, figure -> SVG); mini only where something ran."""
    made: dict[str, bytes] = {}
    svgs: dict[str, bytes] = {}
    for figure in report.figures:
        for scale in ("paper", "mini"):
            if scale == "mini" and not plots.has_points(figure, scale):
                continue
            name = figure.id if scale == "paper" else f"{figure.id}-mini"
            for ext, content in plots.draw(figure, scale).items():
                made[f"figures/{name}.{ext}"] = content
                if ext == "svg":
                    svgs[name] = content
    return made, svgs


def write(folder: Path, content: Files) -> list[Path]:
    """Write all files below ``folder``: on a full disk what was there before stays, whole.

    Everything is written to a folder of its own inside first; only then are the files moved to their places,
    which takes no room, the one to open first last. Files of an earlier report that this one does not have
    stay. ``bench.system.files.StorageError`` says what to do where writing fails.
    """
    stage = files.temporary_name(folder / "report")  # inside, because "." and "/" have nothing beside them
    new = not folder.exists()
    try:
        files.make_directory(folder)
        for name in content:
            check_free(folder / name)
        for name, data in content.items():
            files.write_atomic(stage / name, data)
        for name in content:
            files.make_directory((folder / name).parent)
        for name in content:
            (stage / name).replace(folder / name)
    except OSError as error:
        raise explained(folder, error) from error
    except files.StorageError as error:  # of a temporary name, which means nothing to anybody
        raise explained(folder, error.__cause__) if error.__cause__ else error from error
    finally:
        shutil.rmtree(stage, ignore_errors=True)
        if new:
            with contextlib.suppress(OSError):  # only where it stayed empty
                folder.rmdir()
    return [folder / name for name in content]


def check_free(path: Path) -> None:
    """Refuse before anything is moved, where a folder has a file's name or a file a folder's."""
    problem = "a directory has that name" if path.is_dir() else ""
    if path.parent.exists() and not path.parent.is_dir():
        problem = f"{path.parent} is a file, not a directory"
    if problem:
        raise files.StorageError(f"cannot write {path}: {problem}. {ELSEWHERE}")


def explained(folder: Path, error: BaseException) -> files.StorageError:
    """Why nothing could be written to ``folder``."""
    known = files.explained(folder / "index.html", error)
    why = error.strerror if isinstance(error, OSError) else error
    return known or files.StorageError(f"cannot write the report to {folder}: {why}. {ELSEWHERE}")
