"""The classic walk-through in a real browser: project, target, rule, push, watch, delete, a target that was away."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from registry.testkit.skopeo import SkopeoError
from tests.system.browser import launched_browser
from tests.system.stack import PASSWORD, USERNAME, Stack, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.browser]

ARRIVES_MILLISECONDS = 60_000


@pytest.fixture
def page(stack: Stack) -> Iterator[Page]:
    """Give a page with an administrator logged in; a message on its console that is an error fails the test."""
    with launched_browser() as browser:
        page = browser.new_page(base_url=stack.url, locale="en-US")
        page.set_default_timeout(15_000)
        problems: list[str] = []
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.goto("/")
        page.get_by_label("User name").fill(USERNAME)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_role("heading", name="Projects")).to_be_visible()
        yield page
        assert not problems


def digest_at_target(stack: Stack, reference: str) -> str:
    try:
        return stack.skopeo.digest(stack.target.host, reference)
    except SkopeoError:
        return ""


def create_project(page: Page) -> None:
    page.get_by_role("link", name="New Project").click()
    page.get_by_label("Project Name").fill("test")
    page.get_by_role("button", name="OK").click()
    expect(page.get_by_role("heading", name="test", exact=True)).to_be_visible()


def create_target(page: Page, stack: Stack) -> None:
    """Fill in the dialog wrongly first: the reason is shown, and nothing typed is lost."""
    page.get_by_role("link", name="Registries").click()
    page.get_by_role("link", name="New Endpoint").click()
    page.get_by_label("Provider").select_option("docker-registry")
    page.get_by_label("Name", exact=True).fill("walk-through")
    page.get_by_label("Endpoint URL").fill("http://127.0.0.1:9")
    page.get_by_role("button", name="Test Connection", exact=True).click()
    expect(page.locator("#test-result")).to_contain_text("refused")
    page.get_by_label("Endpoint URL").fill(stack.target.url)
    page.get_by_role("button", name="Test Connection", exact=True).click()
    expect(page.locator("#test-result")).to_contain_text("A registry answers")
    page.get_by_role("button", name="OK").click()
    expect(page.get_by_role("rowheader", name="walk-through")).to_be_visible()


def create_rule(page: Page) -> None:
    page.get_by_role("link", name="Replications").click()
    page.get_by_role("link", name="New Replication Rule").click()
    page.get_by_label("Name", exact=True).first.fill("walk")
    page.get_by_label("Project", exact=True).select_option(label="test")
    page.get_by_label("Pattern").first.fill("test/**")
    page.get_by_label("Destination registry").select_option(label="walk-through")
    page.get_by_label("Event Based").check()
    page.get_by_label("Delete remote resources when locally deleted").check()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("main")).to_contain_text("walk")


def test_the_classic_walk_through(page: Page, stack: Stack) -> None:
    create_project(page)
    create_target(page, stack)
    create_rule(page)

    # A push by an ordinary client shows on the job page by itself, runs, and succeeds.
    page.goto("/jobs/?q=walk")
    digest = stack.skopeo.push_image(stack.source.host, "test/docker-test:latest", layer_sizes=[30_000_000, 1000])
    row = page.get_by_role("row").filter(has_text="Event Based").first
    expect(row).to_be_visible(timeout=ARRIVES_MILLISECONDS)
    expect(row).to_contain_text("Succeeded", timeout=ARRIVES_MILLISECONDS)
    assert digest_at_target(stack, "test/docker-test:latest") == digest

    # Its log says what was done.
    row.get_by_role("link").first.click()
    expect(page.locator("#execution .title")).to_contain_text("Succeeded")
    page.get_by_role("row").filter(has_text="test/docker-test").get_by_role("link").first.click()
    expect(page.get_by_role("main")).to_contain_text(digest[:19])
    expect(page.get_by_role("main")).to_contain_text("copied test/docker-test:latest")

    # Deleting at the source deletes at the target.
    page.goto("/jobs/?q=walk")
    stack.skopeo.delete(stack.source.host, "test/docker-test:latest")
    wait_for("the image to go from the target", lambda: not digest_at_target(stack, "test/docker-test:latest"))

    # A target that is away during the push gets the image when it is back; nobody touches anything.
    stack.target.stop()
    digest = stack.skopeo.push_image(stack.source.host, "test/docker-test:v2", layer_sizes=[5000])
    row = page.get_by_role("row").filter(has_text="Event Based").first
    expect(row).to_contain_text("Running", timeout=ARRIVES_MILLISECONDS)
    row.get_by_role("link").first.click()
    expect(page.get_by_role("main")).to_contain_text("Retrying", timeout=ARRIVES_MILLISECONDS)
    stack.target.start()
    expect(page.locator("#execution .title")).to_contain_text("Succeeded", timeout=ARRIVES_MILLISECONDS)
    assert digest_at_target(stack, "test/docker-test:v2") == digest
    execution = int(page.url.rstrip("/").rsplit("/", 1)[1])
    tasks = stack.call("GET", f"/replication/executions/{execution}/tasks").json()
    assert [task["status"] for task in tasks] == ["Succeed"]
    assert tasks[0]["attempts"] > 1
