"""Makes other people's text safe to show: in a terminal, a page, JSON or a spreadsheet.

Others write reasons, metadata, fields of events and providers' messages. Some characters control
the terminal (escape sequences), change the text around them (marks of direction) or are invisible
(U+200B): we write those out, or escape them in JSON. In a spreadsheet no cell may begin with a
character that begins a formula.
"""

import json
import re
from typing import Any, Final
from unicodedata import category

# Categories of characters that are not shown but change how the text around them is shown. The two
# joiners are allowed, since scripts and emoji need them.
_UNSEEN: Final = ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")
_JOINERS: Final = frozenset("\u200c\u200d")
_ASCII_TEXT: Final = re.compile(r"[\n\t -~]*", re.ASCII)
_ASCII_LINE: Final = re.compile(r"[ -~]*", re.ASCII)
# The signs that begin a formula, in half and in full width. A spreadsheet that separates cells by
# semicolons starts a cell after each, and takes quotes before the sign for those around a cell.
_FORMULA: Final = re.compile(r"(^|;)([\"\s\u200c\u200d]*)(?=[=+\-@\uff1d\uff0b\uff0d\uff20])")


def is_unseen(letter: str) -> bool:
    """Whether a character must be written out wherever it stands in other people's text."""
    return letter not in _JOINERS and category(letter) in _UNSEEN


def seen(text: str) -> str:
    """A text of several lines, with every invisible character in it written out.

    >>> seen("gpj.\\u202eexe")
    'gpj.[U+202E]exe'
    """
    if _ASCII_TEXT.fullmatch(text):
        return text
    return "".join(letter if letter in "\n\t" else _written_out(letter) for letter in text)


def one_line(text: str) -> str:
    """As `seen`, but as one line: a line break in it cannot look like a line of ours."""
    return text if _ASCII_LINE.fullmatch(text) else "".join(map(_written_out, text))


def cell(value: str | int) -> str | int:
    """A cell that no spreadsheet takes for a formula, whichever character separates the cells.

    https://owasp.org/www-community/attacks/CSV_Injection
    """
    return _FORMULA.sub(r"\1'\2", one_line(value)) if isinstance(value, str) else value


def json_text(value: Any) -> str:
    """A value as JSON, with invisible characters escaped; it means the same."""
    text = json.dumps(value, ensure_ascii=False, indent=2)
    if _ASCII_TEXT.fullmatch(text):
        return text
    return "".join(
        json.dumps(letter)[1:-1] if letter != "\n" and is_unseen(letter) else letter
        for letter in text
    )


def _written_out(letter: str) -> str:
    return f"[U+{ord(letter):04X}]" if is_unseen(letter) else letter
