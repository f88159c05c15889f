"""Look at the built manual as a reader would: `python docs/look.py docs/_build/html [--pictures DIR]`.

It follows every internal link. Then it opens the pages in Chromium, without a window: no page scrolls sideways on a
phone, the search finds a method, and text is legible in the light and in the dark scheme.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import itertools
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urldefrag

import aiohttp

PHONE, DESK = (390, 844), (1440, 900)
"""Sizes of a window, in pixels."""
SOUGHT: Final = "ensure_phone_number"
LEAST_CONTRAST: Final = 4.5
"""The ratio of WCAG 2.1 between a text and what is behind it."""

WIDTH: Final = "document.querySelector('.content').scrollWidth"
"""furo lets this element scroll, and nothing around it."""
TOO_WIDE: Final = """
[...document.querySelectorAll(".content *")]
    .filter(element => element.getBoundingClientRect().right > innerWidth)
    .slice(0, 5)
    .map(element => element.outerHTML.slice(0, 100))
"""
RESULTS: Final = "[...document.querySelectorAll('#search-results li a')].map(link => link.href)"
COLOURS: Final = "[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]"


class Links(HTMLParser):
    """The links of a page, and the places in it that links can name."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.ids: set[str] = set()
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, _tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """Note what a tag links to, and its id."""
        for name, value in attributes:
            if name in {"href", "src"} and value and ":" not in value:
                self.targets.append(value)
            elif name == "id" and value:
                self.ids.add(value)


def broken_links(root: Path) -> list[str]:
    """Return each internal link that leads nowhere."""
    pages = {page: Links(page) for page in root.rglob("*.html")}
    broken = []
    for page, links in pages.items():
        for target in links.targets:
            path, anchor = urldefrag(target)
            file = (page.parent / unquote(path.partition("?")[0])).resolve() if path else page
            if not file.exists() or (anchor and file in pages and unquote(anchor) not in pages[file].ids):
                broken.append(f"{page.relative_to(root)} links to {target}, which is not there")
    return broken


class Tab:
    """A page in Chromium, by its DevTools protocol."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)

    async def send(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command, and return its result."""
        number = next(self._numbers)
        await self._socket.send_json({"id": number, "method": method, "params": params})
        return (await self._receive("id", number))["result"]

    async def _receive(self, key: str, value: object) -> dict[str, Any]:
        while (message := await self._socket.receive_json()).get(key) != value:
            pass
        return message

    async def open(self, page: Path, query: str = "") -> None:
        """Open a page, and wait until it is loaded."""
        await self.send("Page.navigate", url=f"{page.as_uri()}{query}")
        await self._receive("method", "Page.loadEventFired")

    async def evaluate(self, script: str) -> Any:
        """Return the value of a line of JavaScript."""
        result = await self.send("Runtime.evaluate", expression=script, returnByValue=True)
        return result["result"]["value"]

    async def resize(self, size: tuple[int, int]) -> None:
        """Give the window a size."""
        width, height = size
        await self.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
        )

    async def choose(self, scheme: str) -> None:
        """Prefer the light or the dark scheme."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        await self.send("Emulation.setEmulatedMedia", features=features)

    async def picture(self, file: Path) -> None:
        """Save what the window shows."""
        result = await self.send("Page.captureScreenshot")
        file.write_bytes(base64.b64decode(result["data"]))


@asynccontextmanager
async def open_tab(chromium: str) -> AsyncIterator[Tab]:
    """Start Chromium, and end it afterwards."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options = ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--remote-debugging-port=0")
        browser = await asyncio.create_subprocess_exec(
            *(chromium, *options, f"--user-data-dir={profile}", "about:blank"),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            port_file = Path(profile, "DevToolsActivePort")
            async with asyncio.timeout(60), aiohttp.ClientSession() as session:
                while not (port_file.exists() and "\n" in port_file.read_text()):
                    await asyncio.sleep(0.1)
                address = f"http://127.0.0.1:{port_file.read_text().split()[0]}/json/new"
                async with session.put(address) as response:
                    target = await response.json()
            async with (
                aiohttp.ClientSession() as session,
                session.ws_connect(target["webSocketDebuggerUrl"], max_msg_size=0) as socket,
            ):
                tab = Tab(socket)
                await tab.send("Page.enable")
                yield tab
        finally:
            browser.terminate()
            await browser.wait()


def contrast(colours: list[str]) -> float:
    """Return the contrast of two colours such as `rgb(0, 0, 0)`, 1 to 21."""

    def luminance(colour: str) -> float:
        channels = [int(part) / 255 for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]
        red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    lighter, darker = sorted(map(luminance, colours), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


async def faults_seen(root: Path, chromium: str, pictures: Path | None) -> list[str]:
    """Return what is wrong with the pages in a browser."""
    faults = []
    async with open_tab(chromium) as tab:
        for page in sorted(root.rglob("*.html")):
            name = str(page.relative_to(root))
            await tab.resize(PHONE)
            await tab.open(page)
            if (width := await tab.evaluate(WIDTH)) > PHONE[0]:
                wide = "\n    ".join(await tab.evaluate(TOO_WIDE))
                faults.append(f"{name} is {width} px wide in a window of {PHONE[0]} px:\n    {wide}")
            grounds = []
            for scheme in ("light", "dark"):
                await tab.choose(scheme)
                colours = await tab.evaluate(COLOURS)
                grounds.append(colours[1])
                if contrast(colours) < LEAST_CONTRAST:
                    faults.append(f"{name} has text in {colours[0]} on {colours[1]}, in the {scheme} scheme")
            if len(set(grounds)) != len(grounds):
                faults.append(f"{name} looks the same in the light scheme and in the dark one")
            if pictures:
                await take_pictures(tab, pictures / name.replace("/", "."))
        if not await finds(tab, root / "search.html"):
            faults.append(f"the search does not find {SOUGHT}")
    return faults


async def take_pictures(tab: Tab, file: Path) -> None:
    """Save four pictures of a page: phone and desk, light and dark."""
    for size, scheme in itertools.product((PHONE, DESK), ("light", "dark")):
        await tab.resize(size)
        await tab.choose(scheme)
        await tab.picture(file.with_suffix(f".{size[0]}.{scheme}.png"))


async def finds(tab: Tab, page: Path) -> bool:
    """Return whether the search leads to the method that is sought."""
    await tab.open(page, f"?q={SOUGHT}")
    for _ in range(100):  # 10 s: the results come one by one
        if any(f".{SOUGHT}" in link for link in await tab.evaluate(RESULTS)):
            return True
        await asyncio.sleep(0.1)
    return False


def main() -> int:
    """Look at all pages, and say what is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=lambda path: Path(path).resolve(), help="the directory of the built pages")
    parser.add_argument("--pictures", type=Path, metavar="DIR", help="save pictures of each page here")
    options = parser.parse_args()
    faults = broken_links(options.root)
    if chromium := shutil.which("chromium"):
        if options.pictures:
            options.pictures.mkdir(parents=True, exist_ok=True)
        faults += asyncio.run(faults_seen(options.root, chromium, options.pictures))
    else:
        print("There is no chromium on the PATH: nobody looked at the pages, only the links were checked.")
    print("\n".join(faults) or "All is well.")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
