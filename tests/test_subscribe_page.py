"""The page that the links of messages open, in a real browser: nothing happens without a press of a button."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from faces import serving
from playwright.sync_api import Browser, Page, expect
from subscribing import API, Residents, bearer
from test_page import browser

from alerts.residents.end_keys import end_key

pytestmark = pytest.mark.server("chromium")
__all__ = ["browser"]  # a fixture


@pytest.fixture
def residents(tmp_path: Path) -> Iterator[Residents]:
    made = Residents(tmp_path, url="http://canhbao.example/")
    yield made
    made.close()


@pytest.fixture
def url(residents: Residents) -> Iterator[str]:
    with serving(residents.town, residents.app()) as address:
        yield address


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(locale="vi-VN")
    context.set_default_timeout(5_000)
    opened, complaints = context.new_page(), list[str]()
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    yield opened
    context.close()
    assert not complaints


def test_the_link_of_a_mail_confirms_shows_and_ends(residents: Residents, url: str, page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    with httpx.Client(base_url=url) as client:
        residents.sign_up(client, ("mail", "lan@example.vn"))
    link = residents.errands()[0]["url"]
    secret = link.rpartition("_")[2]

    page.goto(link.replace("http://canhbao.example", url))
    expect(page.get_by_text("Xác nhận rằng bạn muốn nhận")).to_be_visible()
    assert residents.rows("SELECT state FROM resident") == [("pending",)]
    page.get_by_role("button", name="Xác nhận").click()
    expect(page.get_by_text("thư điện tử: lan@example.vn")).to_be_visible()
    expect(page.get_by_text("Hải Châu: ngập lụt, sự cố điện, mưa lớn")).to_be_visible()
    assert "#manage=cbr_" in page.url
    page.get_by_role("link", name="English").click()
    expect(page.get_by_text("Hai Chau: flooding, power trouble, heavy rain")).to_be_visible()
    page.get_by_role("button", name="End all").click()
    expect(page.get_by_role("status")).to_have_text("Done. You will get no more warnings.")

    assert residents.rows("SELECT state FROM resident") == [("ended",)]
    assert not [address for address in asked if secret in address.partition("#")[0]]


def test_a_link_that_is_too_old_says_so(residents: Residents, url: str, page: Page) -> None:
    page.goto(f"{url}/subscribe#confirm=cbr_0123456789ab_{'A' * 22}")
    page.get_by_role("button", name="Xác nhận").click()
    expect(page.get_by_role("status")).to_contain_text("Liên kết này đã hết hạn hoặc không đúng.")
    assert residents.rows("SELECT count(*) FROM resident") == [(0,)]


def test_what_is_kept_is_deleted_after_a_second_question(residents: Residents, url: str, page: Page) -> None:
    with httpx.Client(base_url=url) as client:
        token = residents.subscribed(client)
        page.goto(f"{url}/subscribe#manage={token}")
        page.once("dialog", lambda dialog: dialog.dismiss())
        page.get_by_role("button", name="Xóa dữ liệu của tôi").click()
        assert client.get(API, headers=bearer(token)).status_code == 200
        page.once("dialog", lambda dialog: dialog.accept())
        page.get_by_role("button", name="Xóa dữ liệu của tôi").click()
        expect(page.get_by_role("status")).to_have_text("Đã xóa.")
        assert client.get(API, headers=bearer(token)).status_code == 401


def test_the_page_of_one_click_has_a_button_that_ends(residents: Residents, url: str, page: Page) -> None:
    with httpx.Client(base_url=url) as client:
        residents.subscribed(client)
    page.goto(f"{url}{API}/end/{end_key(residents.seal, 1)}")
    assert residents.rows("SELECT state FROM contact") == [("active",)]
    page.get_by_role("button", name="Dừng nhận cảnh báo").click()
    expect(page.get_by_text("Địa chỉ này không nhận cảnh báo nữa")).to_be_visible()
    assert residents.rows("SELECT state FROM contact") == [("ended",)]
