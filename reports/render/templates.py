"""Jinja environments for the page and for LaTeX: whatever a template puts out is escaped for its format.

Both escape by themselves: a template asks for nothing, and only ``Markup`` (what a macro made, and our own
drawings, styles and script) passes as it is. A name that is not defined is an error. Templates are in
``reports/templates``; values are prepared in ``html_page`` and ``latex``, which register the filters.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

_FORBIDDEN_IN_HTML = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffe\uffff\ud800-\udfff]")


def make_html_environment() -> Environment:
    """For HTML: Jinja's own escaping; characters that HTML forbids become U+FFFD before it."""
    return Environment(
        loader=PackageLoader("reports", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_replace_forbidden,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def make_latex_environment(escape: Callable[[str], str]) -> Environment:
    """For LaTeX: ``<< value >>``, ``<% statement %>``, ``<# comment #>``; every value goes through ``escape``.

    Autoescape is on so that what a macro returns is ``Markup``, which is not escaped twice. Never join texts
    with ``~`` here: Jinja would escape the parts for HTML where one of them is ``Markup``.
    """

    def escape_value(value: Any) -> Any:
        return value if hasattr(value, "__html__") else Markup(escape(str(value)))  # noqa: S704 - escaped

    return Environment(
        loader=PackageLoader("reports", "templates"),
        block_start_string="<%",
        block_end_string="%>",
        variable_start_string="<<",
        variable_end_string=">>",
        comment_start_string="<#",
        comment_end_string="#>",
        autoescape=True,
        undefined=StrictUndefined,
        finalize=escape_value,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _replace_forbidden(value: Any) -> Any:
    text = value if isinstance(value, str) else str(value)
    # What is printable has none of them, which is quicker to see; Markup went through here before.
    return text if text.isprintable() or hasattr(text, "__html__") else _FORBIDDEN_IN_HTML.sub("�", text)
