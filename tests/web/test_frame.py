"""What surrounds the pages: login, preferences, headers, error pages, and the look's promises."""

import re

import pytest
from django.conf import settings
from django.test import Client, override_settings

from tests.factories import PASSWORD, make_user
from tests.web.reading import text_of

pytestmark = pytest.mark.django_db


def test_login_leads_to_where_one_wanted_to_go(client):
    make_user(username="dora")

    response = client.post("/login/?next=/jobs/", {"username": "dora", "password": PASSWORD, "next": "/jobs/"})

    assert response["Location"] == "/jobs/"


def test_login_does_not_lead_to_other_sites(client):
    make_user(username="dora")
    values = {"username": "dora", "password": PASSWORD, "next": "https://evil.example.com/"}

    assert client.post("/login/", values)["Location"] == "/"


@pytest.mark.parametrize("values", [{"username": "dora", "password": "wrong"}, {"username": "", "password": ""}])
def test_a_wrong_login_is_said_and_keeps_the_name(values, client):
    make_user(username="dora")

    response = client.post("/login/", values)

    assert 'role="alert"' in response.content.decode()
    assert f'value="{values["username"]}"' in response.content.decode() or not values["username"]


def test_whoever_is_logged_in_is_led_on(administrator):
    assert administrator.get("/login/")["Location"] == "/"


def test_logout_is_a_post(administrator):
    assert administrator.get("/logout/").status_code == 405
    assert administrator.post("/logout/")["Location"] == "/login/"
    assert administrator.get("/projects/").status_code == 302


def test_theme_is_remembered_and_rendered_by_the_server(administrator):
    response = administrator.post("/preferences/", {"theme": "dark", "next": "/jobs/"})

    assert response["Location"] == "/jobs/"
    assert 'data-theme="dark"' in administrator.get("/jobs/").content.decode()
    administrator.post("/preferences/", {"theme": "auto"})
    assert "data-theme" not in administrator.get("/jobs/").content.decode()


def test_language_is_remembered(client):
    client.post("/preferences/", {"language": "zh-hans", "next": "/login/"})

    body = client.get("/login/").content.decode()
    assert '<html lang="zh-hans"' in body
    assert "登录" in body


@pytest.mark.parametrize(
    "values", [{"theme": "<x>"}, {"language": "klingon"}, {"next": "https://evil.example.com"}, {}]
)
def test_preferences_take_nothing_else(values, client):
    response = client.post("/preferences/", values)

    assert response["Location"] == "/"
    assert not response.cookies


def test_pages_come_with_a_strict_policy_and_vary_with_htmx(administrator):
    response = administrator.get("/projects/")

    policy = response["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert "HX-Request" in response["Vary"]
    assert response["Cache-Control"] == "private, no-cache"
    assert response["X-Frame-Options"] == "DENY"


def test_unknown_page_is_said_in_our_look(administrator, client):
    for browser in (administrator, client):
        response = browser.get("/no/such/page/")
        assert response.status_code == 404
        assert "There is no such page" in text_of(response)


def test_forbidden_page_is_said_in_our_look(member):
    assert "Your account does not have the right" in text_of(member.get("/registries/"))


def test_unknown_host_is_a_plain_bad_request(client):
    response = client.get("/projects/", headers={"host": "evil.example.com"})

    assert response.status_code == 400
    assert "The request cannot be read" in text_of(response)


def test_our_own_mistake_is_said_without_details(administrator, monkeypatch):
    browser = Client(raise_request_exception=False)
    browser.cookies = administrator.cookies
    with override_settings(LANGUAGES=None):
        response = browser.get("/projects/")

    assert response.status_code == 500
    assert b"Something went wrong" in response.content
    assert b"Traceback" not in response.content


def test_navigation_shows_where_one_is_and_only_what_one_may_open(administrator, member):
    body = administrator.get("/registries/").content.decode()
    assert re.search(r'href="/registries/" aria-current="page"', body)

    body = member.get("/jobs/").content.decode()
    assert 'href="/registries/"' not in body
    assert re.search(r'href="/jobs/" aria-current="page"', body)


def test_every_picture_that_pages_use_is_in_the_sprite():
    sprite = (settings.BASE_DIR / "static/icons.svg").read_text()
    templates = "".join(path.read_text() for path in (settings.BASE_DIR / "templates").rglob("*.html"))
    used = set(re.findall(r'{% icon "([a-z]+)" %}', templates)) | set(re.findall(r'picture="([a-z]+)"', templates))

    assert used
    assert used <= set(re.findall(r'<symbol id="([a-z]+)"', sprite))


def test_script_stays_small_and_templates_have_no_inline_code():
    assert len((settings.BASE_DIR / "static/harborsync.js").read_text().splitlines()) <= 200
    for path in (settings.BASE_DIR / "templates").rglob("*.html"):
        text = path.read_text()
        assert not re.search(r"\son[a-z]+=|\sstyle=|<style|javascript:|hx-on", text), path


def _tokens() -> dict[str, tuple[str, str]]:
    css = (settings.BASE_DIR / "static/css/foundation.css").read_text()
    return {name: (a, b) for name, a, b in re.findall(r"--([a-z-]+): light-dark\((#\w{6}), (#\w{6})\)", css)}


def _luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


GROUNDS = ("background", "surface", "surface-raised", "surface-hover", "surface-chosen")
INKS = ("text", "muted", "primary", "success", "danger", "warning", "info")
PAIRS = [
    *((ink, ground) for ink in INKS for ground in GROUNDS),
    ("on-primary", "primary"),
    ("on-danger", "danger"),
    ("danger", "danger-ground"),
    ("text", "success-ground"),
    ("text", "warning-ground"),
    ("text", "info-ground"),
    ("muted", "warning-ground"),
    ("muted", "danger-ground"),
    ("primary-hover", "surface-hover"),
]


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(("ink", "ground"), PAIRS)
def test_text_has_a_contrast_of_at_least_4_5(ink, ground, theme):
    tokens = _tokens()
    lighter, darker = sorted((_luminance(tokens[ink][theme]), _luminance(tokens[ground][theme])), reverse=True)

    assert (lighter + 0.05) / (darker + 0.05) >= 4.5
