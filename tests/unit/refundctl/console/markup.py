"""Reads a page as a strict reader of HTML would, for tests to look at."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

_EMPTY = frozenset({"meta", "link", "input", "br", "img", "hr"})
# What a reader sees apart from what follows.
_APART = frozenset({"p", "li", "td", "th", "dt", "dd", "h1", "h2", "h3", "h4", "summary", "a"})
# Elements of SVG that the pages close in themselves.
_DRAWN = frozenset({"line", "rect", "path"})


@dataclass
class Element:
    """An element with its text and all that is in it."""

    name: str
    attributes: dict[str, str | None]
    inside: list["Element"] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """Its own text and that of all that is in it."""
        return " ".join("".join(self.texts).split())

    def inside_of(self, name: str) -> list["Element"]:
        """The elements of that name that are in it."""
        return [one for one in self.inside if one.name == name]


class Markup(HTMLParser):
    """A page; reading it fails if its elements are not closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[Element] = []
        self._open: list[Element] = []
        self.feed(text)
        self.close()
        assert [one.name for one in self._open] == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"{tag} has an attribute twice: {names}"
        element = Element(tag, dict(attrs))
        self.elements.append(element)
        for around in self._open:
            around.inside.append(element)
        if tag not in _EMPTY:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in _DRAWN, tag
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open, f"</{tag}> closes nothing"
        assert self._open.pop().name == tag
        if tag in _APART:
            self.handle_data(" ")

    def handle_data(self, data: str) -> None:
        for around in self._open:
            around.texts.append(data)

    def all(self, name: str, **attributes: str) -> list[Element]:
        """The elements of that name, with these attributes (`class_` for `class`)."""
        wanted = {key.rstrip("_").replace("_", "-"): value for key, value in attributes.items()}
        return [
            one
            for one in self.elements
            if one.name == name and wanted.items() <= one.attributes.items()
        ]

    def one(self, name: str, **attributes: str) -> Element:
        """The only such element."""
        (found,) = self.all(name, **attributes)
        return found

    def by_id(self, name: str) -> Element:
        """The element of that id."""
        (found,) = [one for one in self.elements if one.attributes.get("id") == name]
        return found
