"""Pictures of every page, wide and narrow, light and dark, English and Chinese, to be looked at.

Run it against an installation that has something to show:
`python -m tests.web.screenshots http://127.0.0.1:8080 DIRECTORY USERNAME PASSWORD`.
It says which pages are wider than the window and what the browser complained about.
"""

import itertools
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = ["--no-sandbox", "--disable-quic", "--disable-background-networking"]
LISTS = ["/projects/", "/registries/", "/replications/", "/jobs/"]
FORMS = ["/projects/new/", "/registries/new/", "/replications/new/", "/no/such/page/"]
# One page of each kind is enough: the first link that looks like this.
DETAILS = [
    r"/projects/\d+/",
    r"/projects/\d+/(?:replication|members|webhook)/",
    r"/registries/\d+/(?:edit|delete|notifications)/",
    r"/replications/\?rule=\d+",
    r"/executions/\d+/",
    r"/tasks/\d+/",
]


def log_in(page: Page, username: str, password: str) -> None:
    """Log in by the page's own form."""
    page.goto("/login/")
    page.fill("#id_username", username)
    page.fill("#id_password", password)
    page.click("form.form button")
    page.wait_for_url("**/projects/")


def pages(page: Page) -> Iterator[str]:
    """Give the address of every kind of page that can be reached."""
    yield from LISTS + FORMS
    seen: set[str] = set()
    waiting = list(LISTS)
    while waiting:
        page.goto(waiting.pop(0))
        links = page.eval_on_selector_all("a[href]", "all => all.map(a => a.getAttribute('href'))")
        for address in links:
            kind = re.sub(r"\d+", "N", address)
            if kind not in seen and any(re.fullmatch(pattern, address) for pattern in DETAILS):
                seen.add(kind)
                waiting.append(address)
                yield address


def take(page: Page, address: str, target: Path) -> None:
    """Store the picture of one page."""
    response = page.goto(address)
    if response and response.status >= 500:
        print(f"{address}: answered {response.status}")
    page.wait_for_timeout(300)
    width = page.evaluate("document.documentElement.scrollWidth")
    if page.viewport_size and width > page.viewport_size["width"]:
        print(f"{address}: {width} px wide in a window of {page.viewport_size['width']} px")
    name = re.sub(r"\W+", "-", address).strip("-")
    page.screenshot(path=target / f"{name}.png", full_page=True)


def main(base_url: str, directory: str, username: str, password: str) -> None:
    """Take all pictures."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        for width, theme, language in itertools.product((1280, 390), ("light", "dark"), ("en", "zh-hans")):
            target = Path(directory) / f"{width}-{theme}-{language}"
            target.mkdir(parents=True, exist_ok=True)
            page = new_page(browser, base_url, width, theme, language)
            log_in(page, username, password)
            for address in list(pages(page)):
                take(page, address, target)
            page.context.close()
        browser.close()


def new_page(browser: Browser, base_url: str, width: int, theme: str, language: str) -> Page:
    """Open a window of one kind."""
    context = browser.new_context(
        base_url=base_url,
        viewport={"width": width, "height": 900},
        color_scheme="dark" if theme == "dark" else "light",
    )
    context.add_cookies([{"name": "django_language", "value": language, "url": base_url}])
    page = context.new_page()
    page.on("pageerror", lambda error: print(f"{page.url}: {error}"))
    return page


if __name__ == "__main__":
    main(*sys.argv[1:])
