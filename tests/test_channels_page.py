"""The channel that docs/channels.md builds is taken from the page and sends to a fake of its provider."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from aiohttp import web

from alerts.delivery.channels.channel import ChannelError, Means
from alerts.delivery.parcel import Lane, Parcel
from alerts.given import Given, Secret, Section
from ingest.city import ConfigError

PAGE = Path(__file__).parents[1] / "docs" / "channels.md"
SOURCE = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)[0]
TOPIC = "phuong-hai-chau-0905"
TEXT = "Nguy hiểm: ngập đường, phường Hải Châu."


@pytest.fixture(scope="module")
def ntfy(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    file = tmp_path_factory.mktemp("channels") / "ntfy.py"
    file.write_text(SOURCE, "utf-8")
    module = ModuleType("ntfy")
    sys.modules["ntfy"] = module  # dataclasses look their module up
    exec(compile(SOURCE, str(file), "exec"), module.__dict__)  # the page is ours
    return module


class Fake:
    """A server of ntfy that refuses what the real one does, and repeats the topic when it does."""

    def __init__(self) -> None:
        self.came: list[dict[str, Any]] = []
        self.status = 200
        self.cut = False

    async def publish(self, request: web.Request) -> web.Response:
        told = await request.json()
        if request.headers.get("Authorization") != "Bearer tk_secret":
            return web.json_response({"code": 40301, "http": 403, "error": "forbidden"}, status=403)
        if not re.fullmatch(r"[-_A-Za-z0-9]{1,64}", told["topic"]) or not 1 <= told["priority"] <= 5:
            return web.json_response({"code": 40009, "http": 400, "error": f"invalid: {told['topic']}"}, status=400)
        if self.status != 200:
            return web.json_response({"http": self.status, "error": told["topic"]}, status=self.status)
        self.came.append(told)
        if self.cut:
            assert request.transport is not None
            request.transport.close()
        return web.json_response({"id": f"n{len(self.came)}", "event": "message", "topic": told["topic"]})


@asynccontextmanager
async def served(fake: Fake, ntfy: ModuleType, token: str = "tk_secret") -> AsyncIterator[Any]:
    app = web.Application()
    app.router.add_post("/", fake.publish)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    channel = ntfy.Ntfy(f"http://127.0.0.1:{runner.addresses[0][1]}/", Secret(token))
    try:
        yield channel
    finally:
        await channel.close()
        await runner.cleanup()


def parcel(n: int = 1, *, address: str = TOPIC, silent: bool = False) -> Parcel:
    body = {"texts": {"vi": TEXT, "en": "Danger"}, "url": "https://canhbao.example/v/1"}
    return Parcel(n, 1, "ntfy", f"contact {n}", "inc-1", 1, 7, 3, "vi", body, 0, 1, Lane.URGENT, silent, address)


def run(test: Callable[[], Any]) -> None:
    asyncio.run(test())


def test_a_text_arrives_letter_for_letter_and_the_number_comes_back(ntfy: ModuleType) -> None:
    async def story() -> None:
        fake = Fake()
        async with served(fake, ntfy) as channel:
            ids = await asyncio.gather(*(channel.send(parcel(n)) for n in (1, 2)))
            await channel.send(parcel(3, silent=True))
        assert sorted(ids) == ["n1", "n2"]
        assert {told["message"] for told in fake.came} == {TEXT}
        assert [told["priority"] for told in fake.came] == [5, 5, 1]

    run(story)


@pytest.mark.parametrize(
    ("status", "permanent", "everybody"),
    [(400, True, False), (413, True, False), (429, False, True), (503, False, True), (500, False, False)],
)
def test_a_refusal_says_what_it_means_and_holds_no_address(
    ntfy: ModuleType, status: int, permanent: bool, everybody: bool
) -> None:
    async def story() -> None:
        fake = Fake()
        fake.status = status
        async with served(fake, ntfy) as channel:
            with pytest.raises(ChannelError) as raised:
                await channel.send(parcel())
        assert (raised.value.permanent, raised.value.everybody, raised.value.maybe) == (permanent, everybody, False)
        assert TOPIC not in str(raised.value)

    run(story)


def test_a_token_that_is_no_good_stops_everybody_and_loses_nothing(ntfy: ModuleType) -> None:
    async def story() -> None:
        async with served(Fake(), ntfy, token="tk_other") as channel:
            with pytest.raises(ChannelError) as raised:
                await channel.send(parcel())
        assert raised.value.everybody
        assert not raised.value.permanent
        assert "tk_" not in str(raised.value)

    run(story)


def test_a_lost_answer_may_be_a_message_that_arrived(ntfy: ModuleType) -> None:
    async def story() -> None:
        fake = Fake()
        fake.cut = True
        async with served(fake, ntfy) as channel:
            with pytest.raises(ChannelError) as raised:
                await channel.send(parcel())
        assert raised.value.maybe
        assert "127.0.0.1" not in str(raised.value)

    run(story)


@pytest.mark.parametrize("text", ["", "short", "with space and more", "a" * 65, "https://ntfy.sh/abcdefghijkl"])
def test_what_is_no_topic_is_refused_without_repeating_it(ntfy: ModuleType, text: str) -> None:
    assert ntfy.KIND.reach(TOPIC).address == TOPIC
    with pytest.raises(ValueError, match="a topic of 16 to 64") as raised:
        ntfy.KIND.reach(text)
    assert not text or text not in str(raised.value)


def test_it_is_made_of_its_section_of_the_settings(ntfy: ModuleType, tmp_path: Path) -> None:
    def made(url: str) -> Any:
        section = Section({"url": Given(url, "ntfy.url", tmp_path)}, {"token": None})
        return ntfy.KIND.make(section, Means(tmp_path, "", lambda: 0))

    assert made("") is None
    assert made("https://ntfy.example").url == "https://ntfy.example"
    with pytest.raises(ConfigError, match=r"ntfy\.url"):
        made("http://ntfy.example")


def test_the_file_of_the_page_is_clean() -> None:
    root = PAGE.parents[1]
    as_if = ["--config", "pyproject.toml", "--stdin-filename", "alerts/delivery/channels/ntfy.py", "-"]
    for how in (["check"], ["format", "--check"]):
        command = [sys.executable, "-m", "ruff", *how, *as_if]
        said = subprocess.run(command, cwd=root, input=SOURCE, capture_output=True, text=True, check=False)
        assert said.returncode == 0, said.stdout + said.stderr
