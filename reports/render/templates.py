"""Jinja environments for the page and for LaTeX: whatever a template puts out is escaped for its format.

Both escape by themselves: a template asks for nothing, and only ``Markup`` (what a macro made, and our own
drawings, styles and script) passes as it is. A name that is not defined is an error. Templates are in
``reports/templates``; values are prepared in ``html_page`` and ``latex``, which register the filters.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from bench.foreign_text import REPORT_LENGTH, cut_text, escape_log

_RIGHT_TO_LEFT = {"R", "AL", "AN"}
"""Classes of characters (``unicodedata.bidirectional``) that turn the direction of what stands around them."""


def make_html_environment() -> Environment:
    """For HTML: Jinja's own escaping, behind that of `bench.foreign_text`; texts from right to left are isolated.

    Inside an attribute, where no element can stand, write ``{{ text | attribute }}``.
    """
    environment = Environment(
        loader=PackageLoader("reports", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_show_in_html,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["attribute"] = _show_in_attribute
    return environment


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


def _show_in_html(value: Any) -> Any:
    if hasattr(value, "__html__"):  # Markup went through here before
        return value
    text = _show_text(value)
    if text.isascii() or not any(
        unicodedata.bidirectional(character) in _RIGHT_TO_LEFT for character in text
    ):
        return text
    return Markup("<bdi>{}</bdi>").format(text)


def _show_in_attribute(value: Any) -> Markup:
    return escape(_show_text(value))


def _show_text(value: Any) -> str:
    return escape_log(cut_text(str(value), REPORT_LENGTH))
