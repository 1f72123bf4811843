"""The page that a leader's link opens, and the sheet that operators print, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from group_house import API, PHONES, SEAL, Groups, groups_in
from playwright.sync_api import Browser, Page, expect
from test_page import browser

from alerts.residents import schema
from alerts.residents.answer_keys import answer_key

pytestmark = pytest.mark.server("chromium")
__all__ = ["browser"]  # a fixture
FLOOD = "flood.north-1.1"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Groups]:
    with groups_in(tmp_path) as made:
        yield made


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(locale="vi-VN")
    context.set_default_timeout(5_000)
    opened, complaints = context.new_page(), list[str]()
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    yield opened
    context.close()
    assert not complaints


def test_a_leader_answers_by_two_taps_and_his_secret_stays_out_of_every_address(house: Groups, page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    house.group("north-1", "Tổ 1", PHONES[0])
    house.tell(FLOOD, to=PHONES[:1])
    token = answer_key(SEAL, house.contact(PHONES[0]), FLOOD)
    page.goto(f"{house.url}/g#{token}")
    assert not house.rows(schema.answer), "nothing happens without a press of a button"
    assert token not in page.evaluate("location.href")
    page.get_by_label("Ghi chú").fill("cụ Hai, số 12")
    page.get_by_role("button", name="Cần giúp").click()
    expect(page.get_by_role("status")).to_have_text("Đã ghi nhận: cần giúp. Tổ 1")
    page.get_by_role("button", name="Đã báo các hộ").click()
    expect(page.get_by_role("status")).to_have_text("Đã ghi nhận: đã báo các hộ. Tổ 1")
    assert [row.says for row in house.rows(schema.answer)] == ["needs_help", "told"]
    assert not [url for url in asked if token.rpartition("-")[2] in url.partition("#")[0]]
    page.goto(f"{house.url}/g?lang=en#1-{'a' * 16}")
    page.get_by_role("button", name="Need help").click()
    expect(page.get_by_role("status")).to_contain_text("no longer valid")


def test_the_sheet_of_a_ward_is_printed_on_a4(house: Groups, page: Page) -> None:
    numbers = [house.group("north-1", f"Tổ {n:02}", *PHONES[n : n + 1], households=60 + n) for n in range(40)]
    house.tell(FLOOD, to=PHONES)
    house.says(PHONES[1], "2 cụ Hai ở số 12, nhà ngập đến cửa sổ")
    house.says(PHONES[2], "1")
    sheet = house.ask("machine", "GET", f"/ioc/alerts/{FLOOD}/groups").text
    page.set_content(sheet)
    expect(page.get_by_role("row")).to_have_count(len(numbers) + 2)
    wide = page.evaluate("document.documentElement.scrollWidth")
    page.set_viewport_size({"width": 718, "height": 1_000})  # 190 mm, as on paper
    assert page.evaluate("document.documentElement.scrollWidth") <= max(wide, 718)
    assert page.pdf(format="A4").startswith(b"%PDF")
    assert house.ask("machine", "GET", f"{API}/alerts/{FLOOD}/groups").json()["counts"]["needs_help"]["groups"] == 1
