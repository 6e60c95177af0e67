"""Debian's Chromium, driven by Playwright, for tests that look at the product as a person does."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

# The last ones keep Chromium from calling its maker; there is no way out of the test machine anyway.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
NAMES = ("chromium", "google-chrome", "chromium-browser")


def chromium_path() -> str:
    """Give the browser's path; CHROMIUM_PATH names another one."""
    found = os.environ.get("CHROMIUM_PATH") or next(filter(None, map(shutil.which, NAMES)), None)
    if not found:
        raise RuntimeError("No Chromium on this machine: apt-get install chromium, or set CHROMIUM_PATH.")
    return found


@contextmanager
def launched_browser() -> Iterator[Browser]:
    """Run a headless browser."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=ARGUMENTS)
        yield browser
        browser.close()
