"""Escaping and small pieces that the page's parts share."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence

from reports.render.symbols import symbol

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffe\uffff\ud800-\udfff]")


def h(text: str) -> str:
    """Text for content and for attributes in double quotes; characters that HTML forbids become U+FFFD."""
    return html.escape(_CONTROL.sub("�", text), quote=True)


def foreign(text: str) -> str:
    """Text of a model: escaped, and its writing direction kept to itself."""
    return f"<bdi>{h(text)}</bdi>"


def anchor(kind: str, name: str) -> str:
    """An id from any name: letters, digits, - . _ and = stay, the rest is spelled by its number."""
    return f"{kind}-" + re.sub(r"[^A-Za-z0-9._=-]", lambda found: f"_{ord(found[0]):x}_", name)


def kind(verdict: str | None) -> str:
    """A verdict as part of a class name."""
    return re.sub(r"[^a-z]+", "-", (verdict or "none").lower())


def mark(verdict: str | None) -> str:
    return f'<b class="s" aria-hidden="true">{symbol(verdict)}</b>'


def chips(items: Sequence[tuple[str, str, str]]) -> str:
    """(verdict, text, explanation) as a row of labels."""
    made = "".join(
        f'<li class="v-{kind(verdict)}" title="{h(why)}">{mark(verdict)} {h(text)}</li>'
        for verdict, text, why in items
    )
    return f'<ul class="chips">{made}</ul>'


def heads(labels: Iterable[str]) -> str:
    """Head cells that sort; without a label an empty cell."""
    return "".join(
        f'<th scope="col" data-column="{number}"><button type="button" class="sort">{h(label)}</button></th>'
        if label
        else "<td></td>"
        for number, label in enumerate(labels)
    )


def scrolling(label: str, table: str) -> str:
    """A table in a part of the page that scrolls sideways, also by keyboard; ``label``: for screen readers."""
    return f'<div class="scroll" tabindex="0" role="region" aria-label="{h(label)}">{table}</div>'
