"""One setting as somebody wrote it, and a section of them: what an error must point at, and what no error may show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ingest.city import ConfigError

PREFIX: Final = "CANHBAO_"


@dataclass(frozen=True, slots=True, repr=False)
class Secret:
    """A text that no log, error or page may show; `reveal` is for the line that hands it to a server."""

    _text: str

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return "Secret(…)"


@dataclass(frozen=True, slots=True)
class Given:
    """`name` and `origin` are what an error must point at."""

    text: str
    name: str  # "mqtt.url" or "CANHBAO_MQTT__URL"
    folder: Path  # that a relative path starts from
    file: str = ""

    def wrong(self, expected: str, *, shown: str | None = None) -> ConfigError:
        return ConfigError(self.name, self.text if shown is None else shown, expected, self.file)

    def filled(self) -> str:
        if not self.text:
            raise self.wrong("a name")
        return self.text

    def path(self) -> Path:
        try:
            return self.folder / Path(self.filled()).expanduser()
        except RuntimeError:
            raise self.wrong("a path; there is no such user's home") from None

    def number(self, least: float, most: float) -> float:
        try:
            value = float(self.text)
        except ValueError:
            value = least - 1
        if not least <= value <= most:
            raise self.wrong(f"a number from {least:g} to {most:g}, in quotes")
        return value

    def whole(self, least: int, most: int) -> int:
        if not (self.text.isascii() and self.text.isdigit() and least <= int(self.text) <= most):
            raise self.wrong(f"a whole number from {least} to {most}, in quotes")
        return int(self.text)

    def one_of(self, *words: str) -> str:
        if self.text not in words:
            raise self.wrong(" or ".join(f'"{word}"' for word in words))
        return self.text


@dataclass(frozen=True, slots=True)
class Section:
    """One section of the settings: `section["host"]` is a setting, `section.secrets["password"]` a secret or None."""

    keys: Mapping[str, Given]
    secrets: Mapping[str, Secret | None]

    def __getitem__(self, key: str) -> Given:
        return self.keys[key]

    @property
    def empty(self) -> bool:
        """Whether nobody has set anything here."""
        return all(not given.file and not given.name.startswith(PREFIX) for given in self.keys.values())


NO_SECTION: Final = Section({}, {})


def secret_of(direct: Given, from_file: Given) -> Secret | None:
    """The variable's text, else what stands in the file, without its line end; None where neither is given."""
    if direct.text:
        return Secret(direct.text)
    if not from_file.text:
        return None
    path = from_file.path()
    try:
        text = path.read_text("utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError):
        raise from_file.wrong(f"a UTF-8 file that can be read; {path} is not") from None
    if not text:
        raise from_file.wrong(f"a secret; {path} is empty")
    return Secret(text)
