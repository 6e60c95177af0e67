"""What only a browser shows: dialogs, live parts, keys, and that our policy lets our own script work."""

import os
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from replication.models import Execution, Rule, Status
from tests.factories import (
    PASSWORD,
    make_admin,
    make_endpoint,
    make_execution,
    make_local_endpoint,
    make_rule,
    make_task,
    make_transfer,
)

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

CHROMIUM = "/usr/bin/chromium"
LONG_REASON = (
    "Uploading sha256:4f1c9e7a6d6f0a2f3b8f6de1c2b9d5ae4c1e7f90a1b2c3d4e5f60718293a4b5c to team/checkout: the "
    "registry answered 403 DENIED: requested access to the resource is denied"
)
ARGUMENTS = ["--no-sandbox", "--disable-quic", "--disable-background-networking"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Give a real Chromium."""
    # Playwright's loop makes Django take this thread for an asynchronous one.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield started
        started.close()
    del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@pytest.fixture
def page(browser: Browser, live_server) -> Iterator[Page]:
    """Give a page on which an administrator is logged in; at the end nothing may have been refused or broken."""
    make_admin(username="alice")
    context = browser.new_context(base_url=live_server.url, timezone_id="Asia/Shanghai")
    opened = context.new_page()
    complaints: list[str] = []
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    opened.goto("/login/")
    opened.get_by_label("User name").fill("alice")
    opened.get_by_label("Password").fill(PASSWORD)
    opened.get_by_role("button", name="Log in").click()
    opened.wait_for_url("**/projects/")
    yield opened
    context.close()
    assert complaints == []


def test_dialog_opens_with_the_focus_in_it_shows_errors_and_closes_with_escape(page):
    make_local_endpoint()

    page.get_by_role("link", name="New Project").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    expect(page.get_by_label("Project Name")).to_be_focused()

    page.get_by_label("Project Name").fill("Bad Name")
    page.get_by_role("button", name="OK").click()
    expect(page.get_by_role("alert").first).to_contain_text("Use lower case letters")

    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_dialog_that_is_closed_while_its_answer_settles_stays_closed(page):
    page.get_by_role("link", name="New Project").click()
    page.get_by_label("Project Name").fill("Bad Name")
    page.evaluate(
        """() => {
          const dialog = document.getElementById("dialog");
          document.addEventListener("htmx:afterSwap", () => setTimeout(() => dialog.close()), { once: true });
          document.addEventListener("htmx:afterSettle", () => (document.body.dataset.settled = "yes"), { once: true });
        }"""
    )

    page.get_by_role("button", name="OK").click()

    expect(page.locator("body[data-settled]")).to_have_count(1)
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_project_is_made_in_the_dialog(page):
    make_local_endpoint()

    page.get_by_role("link", name="New Project").click()
    page.get_by_label("Project Name").fill("team-a")
    page.get_by_role("button", name="OK").click()

    expect(page.get_by_role("heading", name="team-a")).to_be_visible()
    expect(page.get_by_text("Created project team-a.")).to_be_visible()


def test_new_execution_shows_by_itself_and_its_end_is_announced(page):
    page.goto("/jobs/")
    execution = make_execution(status=Status.RUNNING)

    expect(page.get_by_role("row", name=f"{execution.pk} ")).to_contain_text("Running", timeout=15_000)

    Execution.objects.filter(pk=execution.pk).update(status=Status.SUCCEEDED, ended_at=execution.started_at)
    expect(page.get_by_role("row", name=f"{execution.pk} ")).to_contain_text("Succeeded", timeout=15_000)
    expect(page.locator("#announcement")).to_contain_text("Succeeded")


def test_dialog_of_a_live_page_stays_open_and_stops_the_execution(page):
    execution = make_execution(status=Status.RUNNING)
    page.goto(f"/executions/{execution.pk}/")

    page.get_by_role("link", name="Stop").click()
    with page.expect_response(lambda response: response.request.headers.get("hx-target") == "execution"):
        expect(page.get_by_role("dialog")).to_be_visible()
    expect(page.get_by_role("dialog")).to_be_visible()
    page.get_by_role("dialog").get_by_role("button", name="Stop").click()

    expect(page.get_by_text(f"Execution {execution.pk} is being stopped.")).to_be_visible()
    execution.refresh_from_db()
    assert execution.stop_requested_at is not None


def test_slash_goes_to_the_filter_which_acts_while_typing_and_keeps_the_address_short(page):
    make_rule(name="alpha")
    make_rule(name="beta")
    page.goto("/replications/")

    page.keyboard.press("/")
    page.keyboard.type("alp")

    expect(page.get_by_text("beta")).to_have_count(0)
    expect(page.get_by_text("alpha")).to_be_visible()
    page.wait_for_url("**/replications/?q=alp")


def test_rule_form_grows_a_row_and_previews_while_typing(page):
    make_local_endpoint()
    page.goto("/replications/new/")

    page.get_by_label("Name", exact=True).fill("half-typed")
    page.get_by_role("button", name="Add a filter").click()
    expect(page.locator(".row-filter")).to_have_count(3)
    expect(page.get_by_label("Name", exact=True)).to_have_value("half-typed")
    expect(page.get_by_role("button", name="Add a filter")).to_be_focused()

    page.get_by_role("button", name="Remove this filter 3").click()
    expect(page.locator(".row-filter")).to_have_count(2)
    expect(page.get_by_role("button", name="Add a filter")).to_be_focused()

    page.get_by_label("Namespace").fill("copies")
    expect(page.locator("#rule-preview")).to_contain_text("copies/b/c/img")
    page.get_by_label("Scheduled").check()
    page.get_by_label("Cron String").fill("0 15 4 * * *")
    expect(page.locator("#rule-preview")).to_contain_text("12:15:00")


def test_enter_saves_a_rule_instead_of_pressing_the_first_button(page):
    make_local_endpoint()
    target = make_endpoint(name="mirror")
    page.goto("/replications/new/")

    page.get_by_label("Destination registry").select_option(str(target.pk))
    page.get_by_label("Name", exact=True).fill("by-keyboard")
    page.keyboard.press("Enter")

    expect(page.get_by_text("Saved replication rule by-keyboard.")).to_be_visible()
    assert Rule.objects.get().name == "by-keyboard"


def test_enter_saves_an_endpoint_instead_of_testing_it(page):
    page.goto("/registries/")
    page.get_by_role("link", name="New Endpoint").click()
    page.get_by_label("Endpoint URL").fill("http://127.0.0.1:1")
    page.get_by_label("Name", exact=True).fill("mirror")
    page.keyboard.press("Enter")

    expect(page.get_by_text("mirror is saved, but does not work yet")).to_be_visible()


def test_times_are_in_the_zone_of_the_browser(page):
    execution = make_execution()
    Execution.objects.filter(pk=execution.pk).update(created_at="2026-01-02T22:30:00Z")

    page.goto("/jobs/")

    expect(page.get_by_text("06:30:00")).to_be_visible()


@pytest.mark.parametrize(("width", "lines"), [(1280, 3), (390, 9)])
def test_reasons_have_room_and_no_page_is_wider_than_the_window(page, width, lines):
    task = make_task(status=Status.FAILED, reason_code="denied", reason=LONG_REASON)
    make_transfer(task=task, status=Status.FAILED, reason_code="denied", reason=LONG_REASON)
    page.set_viewport_size({"width": width, "height": 900})

    for address, grid in ((f"/executions/{task.execution_id}/", "#tasks"), (f"/tasks/{task.pk}/", "#transfers")):
        page.goto(address)
        reason = page.locator(grid).get_by_role("cell", name=LONG_REASON)
        expect(reason).to_be_visible()
        assert reason.bounding_box()["height"] < lines * 24, f"{address}: a narrow column"
        assert page.evaluate("document.documentElement.scrollWidth") <= width
