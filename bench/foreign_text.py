"""Text that others wrote (files, plug-ins, other machines), shown in one way in messages, tables, logs and reports.

Such text cannot move the cursor, colour the screen or turn the direction of what stands beside it: control and format
characters stand as escapes. It cannot flood the screen either: it is cut, and the count of its characters said.
"""

from __future__ import annotations

import unicodedata

FRAGMENT_LENGTH = 80
"""Characters of a name, key or value inside a message."""
MESSAGE_LENGTH = 500
"""Characters of a whole message."""
MESSAGE_LINES = 3
MESSAGE_END = 180
"""Characters at the end of a cut message that stay: they say what to type next."""


def escape_controls(text: str) -> str:
    r"""``text`` in one line: what is no visible character and no blank stands as an escape.

    Escaped are C0 and C1 controls, line breaks, direction marks and other format characters, lone surrogates,
    and code points that nobody has assigned.

    >>> print(escape_controls("red \x1b[31m, \u202eturned"))
    red \x1b[31m, \u202eturned
    """
    if text.isprintable():
        return text
    return "".join(
        character
        if character.isprintable() or unicodedata.category(character) == "Zs"
        else character.encode("unicode_escape").decode("ascii")
        for character in text
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

    Lines and characters are left out of the middle, since a message ends in what to type next.
    """
    lines = [escape_controls(line) for line in text.strip("\n").split("\n")]
    if len(lines) > MESSAGE_LINES:
        left_out = len(lines) - MESSAGE_LINES
        lines = [*lines[: MESSAGE_LINES - 1], f"({left_out:,} lines left out) {lines[-1]}"]
    message = "\n".join(lines)
    if len(message) <= MESSAGE_LENGTH:
        return message
    note = f"… ({len(text):,} characters) …"
    return message[: MESSAGE_LENGTH - MESSAGE_END - len(note)] + note + message[-MESSAGE_END:]


def _end_with_count(text: str, count: int, limit: int) -> str:
    note = f"… ({count:,} characters)"
    return text[: limit - len(note)] + note
