"""Dead letters on a terminal: what a device sent is shown and never obeyed. Vietnamese stays as it is."""

from __future__ import annotations

from typing import Any, Final

_ROW: Final = 16  # bytes in a line of hex


def printable(text: str) -> str:
    """`text` with everything escaped that a terminal would obey or not show: controls, bidi marks, zero widths.

    Letters of every script, with their accents, stay. A backslash is doubled, so that no escape can be feigned.
    """
    return "".join(
        char if char.isprintable() and char != "\\" else char.encode("unicode_escape", "surrogatepass").decode()
        for char in text
    )


def payload_lines(payload: bytes) -> list[str]:
    """As text where it is UTF-8, line by line; else in hex with its printable ASCII beside it."""
    try:
        return [printable(line) for line in payload.decode().split("\n")]
    except UnicodeDecodeError:
        return [_hex(payload, at) for at in range(0, len(payload), _ROW)]


def row(letter: dict[str, Any]) -> str:
    """One letter of the API in one line."""
    return "  ".join((
        f"{letter['id']:>6}", letter["arrival"], f"{letter['state']:<7}", f"{letter['reason']:<15}",
        printable(letter["gateway"]) or "-", printable(letter["detail"]),
    ))  # fmt: skip


def page(letter: dict[str, Any], payload: bytes) -> str:
    """One letter of the API, whole."""
    size = f"{letter['size']} bytes" + (" kept of more" if letter["cut"] else "")
    lines = [
        f"letter   {letter['id']}, {letter['state']}", f"arrived  {letter['arrival']}",
        f"gateway  {printable(letter['gateway']) or '- (the topic names none)'}",
        f"topic    {printable(letter['topic'])}", f"refused  {letter['reason']}: {printable(letter['detail'])}",
        f"payload  {size}", *(f"  {line}" for line in payload_lines(payload)),
        *(f"driven   {one['at']} by {one['by']}{', corrected' if one['corrected'] else ''}: {outcome(one)}"
          for one in letter["drivings"]),
    ]  # fmt: skip
    return "\n".join(lines)


def outcome(driven: dict[str, Any]) -> str:
    """What became of what was driven, of the API's DrivenOut or TourOut."""
    counts = {"new": driven["accepted"], "known already": driven["duplicates"], "known with another value":
              driven["conflicts"]}  # fmt: skip
    told = [f"{n} {what}" for what, n in counts.items() if n]
    told += [f"{n} refused again ({reason})" for reason, n in driven["refused"].items()]
    return ", ".join(told) or "no readings in it"


def _hex(payload: bytes, at: int) -> str:
    part = payload[at : at + _ROW]
    text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in part)
    return f"{at:05x}  {part.hex(' '):<{3 * _ROW - 1}}  {text}"
