"""Other people's text, fit to be shown: in a terminal, a page, JSON or a spreadsheet.

Reasons, metadata, fields of events and providers' words are written by others. What a terminal
obeys instead of showing it (escape sequences), what changes the text around it (marks of direction)
and what nobody sees (U+200B) is written out, or in JSON escaped. What begins a formula is not left
at the beginning of a cell.
"""

import json
import re
from typing import Any, Final
from unicodedata import category

# What is not shown itself but changes how the text around it is shown. The two joiners are left:
# scripts and emoji are written with them.
_UNSEEN: Final = ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")
_JOINERS: Final = frozenset("\u200c\u200d")
_ASCII_TEXT: Final = re.compile(r"[\n\t -~]*", re.ASCII)
_ASCII_LINE: Final = re.compile(r"[ -~]*", re.ASCII)
# In half and in full width; where a semicolon separates the cells, it begins one too, and quotes
# before the sign are taken for those around a cell.
_FORMULA: Final = re.compile(r"(^|;)([\"\s\u200c\u200d]*)(?=[=+\-@\uff1d\uff0b\uff0d\uff20])")


def is_unseen(letter: str) -> bool:
    """Whether a letter is to be written out wherever it stands in other people's text."""
    return letter not in _JOINERS and category(letter) in _UNSEEN


def seen(text: str) -> str:
    """A text of several lines, with every letter in it that nobody would see written out.

    >>> seen("gpj.\\u202eexe")
    'gpj.[U+202E]exe'
    """
    if _ASCII_TEXT.fullmatch(text):
        return text
    return "".join(letter if letter in "\n\t" else _written_out(letter) for letter in text)


def one_line(text: str) -> str:
    """The same as one line: a break in it cannot pass for a line of ours."""
    return text if _ASCII_LINE.fullmatch(text) else "".join(map(_written_out, text))


def cell(value: str | int) -> str | int:
    """A cell that no spreadsheet takes for a formula, whichever sign separates the cells.

    https://owasp.org/www-community/attacks/CSV_Injection
    """
    return _FORMULA.sub(r"\1'\2", one_line(value)) if isinstance(value, str) else value


def json_text(value: Any) -> str:
    """A value as JSON that means the same and shows nothing that is not to be seen."""
    text = json.dumps(value, ensure_ascii=False, indent=2)
    if _ASCII_TEXT.fullmatch(text):
        return text
    return "".join(
        json.dumps(letter)[1:-1] if letter != "\n" and is_unseen(letter) else letter
        for letter in text
    )


def _written_out(letter: str) -> str:
    return f"[U+{ord(letter):04X}]" if is_unseen(letter) else letter
