"""Text that others wrote (files, plug-ins, other machines), shown in one way in messages, tables, logs and reports.

Such text cannot move the cursor, colour the screen or turn the direction of what stands beside it: control and format
characters stand as escapes. It cannot flood the screen either: it is cut, and the count of its characters said.
"""

from __future__ import annotations

import re
import unicodedata

FRAGMENT_LENGTH = 80
"""Characters of a name, key or value inside a message."""
MESSAGE_LENGTH = 500
"""Characters of a whole message."""
MESSAGE_LINES = 3
MESSAGE_END = 180
"""Characters at the end of a cut message that stay: they say what to type next."""


LINE_LENGTH = 2_000
"""Characters of a line on standard output."""
CELL_LENGTH = 1_000
"""Characters of a cell of a table on a terminal."""
REPORT_LENGTH = 4_000
"""Characters of a text in a report that people read; its JSON has all."""
LOG_LINE_LENGTH = 10_000
"""Characters of a line of a job's log, or of a traceback."""

# Letters and marks by their category of which a screen has nothing: fillers, joiners, tags.
_BLANK_LETTERS = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\uffa0\U000e0000-\U000e0fff]"
)


def is_visible(character: str) -> bool:
    """Whether a character can be seen, or is a blank, and changes nothing of what stands beside it."""
    if not character.isprintable():
        return unicodedata.category(character) == "Zs"
    return character.isascii() or _BLANK_LETTERS.match(character) is None


def escape_controls(text: str) -> str:
    r"""``text`` in one line: what is no visible character and no blank stands as an escape.

    Escaped are C0 and C1 controls, line breaks, direction marks and other format characters, lone surrogates,
    letters that are drawn as nothing, and code points that nobody has assigned.

    >>> print(escape_controls("red \x1b[31m, \u202eturned"))
    red \x1b[31m, \u202eturned
    """
    if text.isprintable() and (text.isascii() or _BLANK_LETTERS.search(text) is None):
        return text
    return "".join(
        character if is_visible(character) else character.encode("unicode_escape").decode("ascii")
        for character in text
    )


def escape_log(text: str) -> str:
    """Lines that a program wrote, to be printed again: line breaks and tabs stay, all else as `escape_controls`.

    A carriage return, with which progress bars write over their line, ends the line: every state stays readable, and
    no line can hide the beginning of itself.
    """
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return "\n".join(
        "\t".join(escape_controls(part) for part in cut_text(line, LOG_LINE_LENGTH).split("\t"))
        for line in lines
    )


def cut_text(text: str, limit: int) -> str:
    """``text`` in at most ``limit`` characters (40 or more); what is cut ends in the count of all characters."""
    return text if len(text) <= limit else _end_with_count(text, len(text), limit)


def show_foreign(value: object, limit: int = FRAGMENT_LENGTH) -> str:
    """``value`` as text inside a message or cell: escaped, and cut to ``limit`` characters (40 or more)."""
    text = str(value)
    escaped = escape_controls(text[: limit + 1])
    if len(text) <= limit and len(escaped) <= limit:
        return escaped
    return _end_with_count(escaped, len(text), limit)


def quote_foreign(value: object, limit: int = FRAGMENT_LENGTH) -> str:
    """`show_foreign` in quotes, so that blanks and an empty text are seen."""
    return f"'{show_foreign(value, limit)}'"


def format_message(text: str) -> str:
    """A whole message as it is shown: at most 3 lines and 500 characters, whatever text of others is in it.

    Lines and characters are left out of the middle, since a message ends in what to type next. Lines after the first
    are indented: a line break in a file's name makes nothing that looks like another message.
    """
    lines = text.strip("\n").split("\n")
    if len(lines) > MESSAGE_LINES:
        left_out = len(lines) - MESSAGE_LINES
        lines = [*lines[: MESSAGE_LINES - 1], f"({left_out:,} lines left out) {lines[-1]}"]
    first, *others = map(escape_controls, lines)
    message = "\n".join([first, *(f"  {line.strip()}" for line in others)])
    if len(message) <= MESSAGE_LENGTH:
        return message
    note = f"… ({len(text):,} characters) …"
    return message[: MESSAGE_LENGTH - MESSAGE_END - len(note)] + note + message[-MESSAGE_END:]


def _end_with_count(text: str, count: int, limit: int) -> str:
    note = f"… ({count:,} characters)"
    return text[: limit - len(note)] + note
