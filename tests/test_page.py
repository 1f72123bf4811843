"""The residents' page in a real browser, over a real server."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from faces import NOW, Town, notice, serving, storm, town_city, town_view
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, expect, sync_playwright
from servers import SERVERS

from alerts.incidents.incident import Reason
from alerts.web.app import create_app

pytestmark = pytest.mark.server("chromium")

PHONE, DESK = ViewportSize(width=390, height=844), ViewportSize(width=1280, height=800)
_ARGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
         "--disable-sync"]  # fmt: skip


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=SERVERS["chromium"].program(), args=_ARGS)
        yield started
        started.close()


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    made = Town(tmp_path, town_view(town_city()))
    made.tell(*storm())
    yield made
    made.ledger.close()


@pytest.fixture
def url(town: Town) -> Iterator[str]:
    with serving(town) as address:
        yield address


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    made = browser.new_context(viewport=PHONE, locale="vi-VN")
    made.set_default_timeout(5_000)
    yield made
    made.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A page whose every complaint (errors, blocked by policy) fails the test."""
    opened, complaints = context.new_page(), list[str]()
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    yield opened
    network = re.compile("ERR_|Failed to (fetch|load)")  # a test that ends the service hears of it here
    assert [text for text in complaints if not network.search(text)] == []


def open_live(page: Page, address: str) -> None:
    """Until the stream is joined: what happens from now on is heard."""
    with page.expect_response("**/api/v1/events"):
        page.goto(address)
    page.wait_for_timeout(100)


def test_a_warning_appears_by_itself_in_the_ward_that_it_concerns(page: Page, town: Town, url: str) -> None:
    open_live(page, f"{url}/?area=20275")
    expect(page.locator("#sentence")).to_have_text("Sơn Trà: Chú ý – ngập lụt.")
    page.evaluate("document.getElementById('sentence').mine = true")

    town.tell(notice("20275", 3, version=2, reason=Reason.WORSE, previous=1, value=0.41))

    expect(page.locator("#sentence")).to_have_text("Sơn Trà: Nguy hiểm – ngập lụt.")
    expect(page.locator("#badge")).to_have_text("Nguy hiểm")
    card = page.locator("#warnings > .warnings > li")
    expect(card).to_contain_text("Ngập lụt – Sơn Trà")
    expect(card).to_contain_text("Việc nên làm: Không lội")
    expect(card).to_contain_text("ngập đường 0,41 m (3 phút), 18:15")
    expect(card.locator("svg use")).to_have_attribute("href", "#l3")
    expect(page.locator("#now")).to_have_class(re.compile("level3"))
    assert page.evaluate("document.getElementById('sentence').mine"), "a new element would not be read out"


def test_the_end_of_a_warning_clears_the_page(page: Page, town: Town, url: str) -> None:
    open_live(page, f"{url}/?area=20275&lang=en")

    town.tell(notice("20275", 0, version=2, reason=Reason.OVER, previous=1, at=NOW))

    expect(page.locator("#sentence")).to_have_text("No warnings in Son Tra right now.")
    expect(page.locator("#warnings")).to_contain_text("No warnings are in force.")
    expect(page.locator("#badge")).to_be_hidden()


def test_many_warnings_in_a_row_never_put_off_showing_the_first(page: Page, town: Town, url: str) -> None:
    page.add_init_script("Math.random = () => 0.5")  # it asks 0.75 s after an event
    open_live(page, f"{url}/?area=20275")
    page.wait_for_timeout(1_000)

    for n in range(20):  # three seconds of them, and no pause
        town.tell(notice("20275", 2 + n % 2, version=2 + n, reason=Reason.WORSE, value=0.5 + n / 100))
        page.wait_for_timeout(150)
        if "0,5" in page.locator("#warnings").inner_text():
            break
    else:
        raise AssertionError("the page waited for a pause")


def test_it_says_that_it_has_no_connection_and_takes_it_back(
    page: Page, town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("alerts.web.events.RETRY_MS", 200)
    monkeypatch.setattr("alerts.web.events.RETRY_SPREAD_MS", 1)
    with serving(town) as url:
        open_live(page, f"{url}/?area=20242")
        expect(page.locator("#offline")).to_be_hidden()
        port = int(url.rsplit(":", 1)[1])

    expect(page.locator("#offline")).to_have_text("Mất kết nối. Cập nhật lần cuối lúc 18:23")
    town.tell(notice("20242", 4, version=2, reason=Reason.WORSE, previous=3, value=1.4))

    with serving(town, port=port):
        expect(page.locator("#offline")).to_be_hidden(timeout=10_000)
        expect(page.locator("#badge")).to_have_text("Khẩn cấp")


def test_a_stream_that_is_refused_shows_and_is_asked_for_again(page: Page, town: Town) -> None:
    page.add_init_script("Math.random = () => 0")
    app = create_app(town.sources())
    with serving(town, app) as url:
        open_live(page, f"{url}/?area=20242")
        fan_out = app.state.fan_out
        assert town.loop is not None
        fan_out._stopped = True
        town.loop.call_soon_threadsafe(lambda: [listener.slow.set() for listener in fan_out._open])
        expect(page.locator("#offline")).to_contain_text("Mất kết nối")
        fan_out._stopped = False
        expect(page.locator("#offline")).to_be_hidden(timeout=8_000)


def test_the_ward_is_remembered_and_can_be_forgotten(page: Page, url: str) -> None:
    page.goto(url)
    expect(page.locator("h1")).to_have_text("Hiện tại ở Đà Nẵng")
    page.get_by_label("Phường, xã của bạn").select_option("Hải Châu")
    expect(page.locator("h1")).to_have_text("Hiện tại ở Hải Châu")

    page.goto(f"{url}/?lang=en")
    expect(page.locator("h1")).to_have_text("Right now in Hai Chau")
    page.get_by_label("Your ward").select_option("The whole city")
    expect(page.locator("h1")).to_have_text("Right now in Đà Nẵng")

    page.goto(url)
    expect(page.locator("h1")).to_have_text("Hiện tại ở Đà Nẵng")


def test_what_the_reader_has_closed_stays_closed_when_the_page_renews_itself(page: Page, town: Town, url: str) -> None:
    open_live(page, f"{url}/?lang=en")
    group = page.locator("#group-20242")
    expect(group).to_have_attribute("open", "")
    group.locator("summary").click()
    expect(group).not_to_have_attribute("open", "")

    moved = town.view.arrival + 6 * 60_000
    town.view = replace(town.view, arrival=moved, t=town.view.t + 60_000 * (town.view.t > 0))
    town.now_ms = moved
    town.tell(notice("20275", 2, version=2, reason=Reason.WORSE))

    expect(group.locator(".age").first).to_have_text("5 minutes ago")
    expect(group).not_to_have_attribute("open", "")
    assert page.evaluate("document.activeElement.closest('details')?.id") == "group-20242", "and keeps the focus"


def test_it_is_whole_without_javascript(browser: Browser, url: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{url}/?lang=en")

    page.get_by_label("Your ward").select_option("Hai Chau")
    page.get_by_role("button", name="Show").click()

    expect(page.locator("#sentence")).to_have_text("Hai Chau: Danger – flooding; Warning – heavy rain.")
    expect(page.locator("#warnings > .warnings > li")).to_have_count(2)
    expect(page.locator("#sensors li")).to_have_count(3)
    assert page.locator("noscript").inner_html().strip().startswith('<meta http-equiv="refresh"')
    context.close()


def test_a_silent_sensor_shows_a_hatch_a_word_and_its_last_level(page: Page, url: str) -> None:
    page.goto(f"{url}/?area=20260")

    silent = page.locator("#sensors li.stale", has_text="Mất tín hiệu")

    expect(silent).to_contain_text("Mất tín hiệu – Khẩn cấp")
    expect(silent).to_contain_text("34 phút trước")
    assert "repeating-linear-gradient" in silent.evaluate("row => getComputedStyle(row).backgroundImage")


def test_every_level_has_its_own_word_shape_and_colour_and_none_of_the_official_colours(page: Page, url: str) -> None:
    page.goto(f"{url}/?lang=en")

    seen = page.locator("#warnings > .warnings > li").evaluate_all(
        """rows => rows.map(row => [row.querySelector(".word").innerText.trim(),
            row.querySelector("use").getAttribute("href"),
            getComputedStyle(row.querySelector(".word")).backgroundColor])"""
    )

    words = dict.fromkeys(word for word, _, _ in seen)
    assert list(words) == ["Emergency", "Danger", "Warning", "Advisory"]
    assert len({shape for _, shape, _ in seen}) == len({colour for _, _, colour in seen}) == 4
    for _, _, colour in seen:
        assert official(colour) is None, colour


def official(colour: str) -> str | None:
    """Which of the legal colours (Decision 18/2021/QĐ-TTg) somebody could take it for, by hue and strength."""
    red, green, blue = (int(part) / 255 for part in re.findall(r"\d+", colour)[:3])
    high, low = max(red, green, blue), min(red, green, blue)
    if high - low < 0.1:
        return None  # ink, grey, white
    third = {red: (green - blue, 0), green: (blue - red, 2), blue: (red - green, 4)}[high]
    hue = (60 * (third[0] / (high - low) + third[1])) % 360
    light = (high + low) / 2
    return next(
        (name for name, lowest, highest, darkest in
         [("red", -15, 12, 0.3), ("orange", 15, 45, 0.35), ("light yellow", 45, 65, 0.4), ("light blue", 185, 255, 0.5),
          ("purple", 265, 315, 0.2)]
         if (lowest <= hue <= highest or lowest <= hue - 360 <= highest) and light >= darkest), None)  # fmt: skip


_CONTRAST = """() => {
  const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
  const linear = (v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const light = (c) => [0, 1, 2].map((i) => linear(c[i] / 255))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (element) => { // each colour of a hatch counts
    for (let e = element; e; e = e.parentElement) {
      const style = getComputedStyle(e);
      if (style.backgroundImage.includes("gradient")) return style.backgroundImage.match(/rgba?\\([^)]*\\)/g).map(rgb);
      const colour = rgb(style.backgroundColor);
      if (colour.length === 3 || colour[3] > 0) return [colour];
    }
    return [[255, 255, 255]];
  };
  const found = [];
  for (const element of document.querySelectorAll("body *")) {
    const text = [...element.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
    const drawn = element.matches("svg.mark");
    if (!(text || drawn) || !element.checkVisibility() || element.closest(".skip, option")) continue;
    const ink = light(rgb(getComputedStyle(element).color));
    for (const colour of behind(element)) {
      const paper = light(colour);
      const ratio = (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
      if (ratio < (drawn ? 3 : 4.5)) found.push([element.outerHTML.slice(0, 80), ratio]);
    }
  }
  return found;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("clock", ["wall", "data"])
def test_every_text_has_enough_contrast_by_day_and_by_night(
    browser: Browser, tmp_path: Path, scheme: Any, clock: str
) -> None:
    town = Town(tmp_path, town_view(town_city(5), clock=clock))
    town.tell(*storm())
    context = browser.new_context(color_scheme=scheme, viewport=PHONE)
    page = context.new_page()
    with serving(town) as url:
        page.goto(f"{url}/?area=20242")
        page.locator("#elsewhere summary").click()
        page.evaluate("document.getElementById('offline').textContent = 'Mất kết nối'")
        assert page.evaluate(_CONTRAST) == []
    context.close()
    town.ledger.close()


@pytest.mark.parametrize("size", [PHONE, DESK, ViewportSize(width=320, height=480)])
def test_it_fits_its_screen_and_every_target_is_large_enough_for_a_thumb(page: Page, url: str, size: Any) -> None:
    page.set_viewport_size(size)
    page.goto(f"{url}/?lang=en&area=20242")
    page.wait_for_function("document.documentElement.classList.contains('live')")

    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    overlapping = page.locator("#sensors li").evaluate_all(
        """rows => rows.filter((row) => { const boxes = [...row.children].map((c) => c.getBoundingClientRect());
            return boxes.some((a, i) => boxes.some((b, j) => j > i && a.left < b.right - 1 && b.left < a.right - 1
                && a.top < b.bottom - 1 && b.top < a.bottom - 1)) || [...row.children].some((c) => c.scrollWidth
                > c.clientWidth + 1 && getComputedStyle(c).display !== "inline"); }).map((row) => row.innerText)"""
    )
    assert overlapping == []
    small = page.locator("nav a, select, button, summary, main a, footer a").evaluate_all(
        """all => all.filter((e) => e.checkVisibility() && e.getBoundingClientRect().height < 44)
            .map((e) => e.outerHTML)"""
    )
    assert small == []


def test_a_screen_reader_finds_its_way(page: Page, url: str) -> None:
    page.goto(f"{url}/?lang=en&area=20242")

    assert page.locator("html").get_attribute("lang") == "en"
    for landmark in ("header", "main", "footer", "nav"):
        expect(page.locator(landmark)).to_have_count(1)
    for name in ("Right now in Hai Chau", "Warnings in force", "Sensor readings"):
        expect(page.get_by_role("region", name=name)).to_have_count(1)
    expect(page.locator("h1")).to_have_count(1)
    expect(page.locator("#sentence")).to_have_attribute("aria-live", "polite")
    expect(page.get_by_role("combobox", name="Your ward")).to_have_count(1)
    assert page.locator("svg:not([aria-hidden=true])").count() == 0
    assert page.locator("[id]").evaluate_all("all => all.length === new Set(all.map((e) => e.id)).size")
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()


def test_nothing_comes_from_anywhere_else_and_a_real_city_stays_light(tmp_path: Path, context: BrowserContext) -> None:
    """138 public sensors, as many as the city has: what goes over the line for the first visit."""
    town = Town(tmp_path, town_view(town_city(28)))
    town.tell(*storm())
    page, asked = context.new_page(), list[str]()
    with serving(town) as url:
        network = context.new_cdp_session(page)
        network.send("Network.enable")
        sizes: list[float] = []
        network.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(url, wait_until="load")
        page.wait_for_timeout(200)
        assert all(address.startswith(url) for address in asked), asked
        assert len(page.locator("#sensors li").all()) == 140
        assert sum(sizes) < 60_000, sizes
    town.ledger.close()
