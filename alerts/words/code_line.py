"""The end of every text: where to look whether it is genuine."""

from __future__ import annotations

from typing import Final

from alerts.words.names import LANGS, Lang

_CHECK: Final = {"vi": "Kiểm tra: {}", "en": "Check: {}"}
_CODE: Final = {"vi": "Mã: {}", "en": "Code: {}"}


def check_url(code: str, public_url: str) -> str:
    """`public_url`: of the service, with its last slash; "" where nobody has said it: then there is none."""
    return f"{public_url}v/{code}" if public_url and code else ""


def code_line(code: str, public_url: str, lang: Lang) -> str:
    """As in "Kiểm tra: canhbao.danang.gov.vn/v/ABCD2345"; the code alone where there is no address; "" without a code.

    https goes without saying (phones make a link of it all the same), in a message that is paid by its length.
    """
    if not code:
        return ""
    url = check_url(code, public_url).removeprefix("https://")
    return _CHECK[lang].format(url) if url else _CODE[lang].format(code)


def code_lines(code: str, public_url: str) -> dict[Lang, str]:
    return {lang: code_line(code, public_url, lang) for lang in LANGS}
