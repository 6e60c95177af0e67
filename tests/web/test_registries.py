"""The registries: the grid, the form, the connection test, deletion and the notification set-up."""

import pytest

from targets.models import Endpoint
from tests.factories import make_endpoint, make_project, make_rule
from tests.web.reading import asks_for, text_of

pytestmark = pytest.mark.django_db

NOWHERE = "http://127.0.0.1:9"


def form_values(**overrides):
    return {
        "kind": "docker-registry",
        "name": "mirror",
        "description": "",
        "url": NOWHERE,
        "access_key": "",
        "secret": "",
        "verify_tls": "on",
        "ca_certificate": "",
        "proxy_url": "",
        **overrides,
    }


def test_a_registry_can_be_made_the_local_one_and_a_second_cannot(administrator):
    administrator.post("/registries/new/", form_values(is_local="on"))
    assert Endpoint.objects.local().name == "mirror"

    text = text_of(administrator.post("/registries/new/", form_values(name="other", is_local="on")))

    assert "there can be only one" in text
    assert Endpoint.objects.count() == 1


def test_grid_shows_health_with_its_reason_and_what_uses_a_registry(administrator):
    endpoint = make_endpoint(name="mirror", health="unhealthy", health_reason="The password was refused.")
    make_rule(targets=[endpoint])
    make_project(endpoint=endpoint)

    text = text_of(administrator.get("/registries/"))

    assert "mirror" in text
    assert "Unhealthy The password was refused." in text
    assert "1 rule" in text
    assert "1 project" in text


def test_grid_is_filtered_and_sorted_by_the_address(administrator):
    for name in ("b-mirror", "a-mirror", "other"):
        make_endpoint(name=name)

    text = text_of(administrator.get("/registries/?q=mirror&sort=name"))

    assert text.index("a-mirror") < text.index("b-mirror")
    assert "other" not in text


def test_htmx_gets_the_grid_alone(administrator):
    body = administrator.get("/registries/?q=x", **asks_for("endpoints")).content.decode()

    assert body.startswith('<div id="endpoints">')
    assert "couldn't find any endpoints" in body


@pytest.mark.parametrize("count", [2, 30])
def test_grid_takes_the_same_number_of_queries_however_long(count, administrator, django_assert_max_num_queries):
    for _ in range(count):
        make_rule(targets=[make_endpoint()])

    with django_assert_max_num_queries(4):
        administrator.get("/registries/?page_size=100")


def test_saving_stores_the_registry_and_says_how_it_is(administrator, memory_registry):
    response = administrator.post("/registries/new/", form_values(url=memory_registry.url), follow=True)

    endpoint = Endpoint.objects.get(name="mirror")
    assert endpoint.health == Endpoint.Health.HEALTHY
    assert "mirror is saved and answers." in text_of(response)


def test_a_registry_that_cannot_be_reached_is_saved_with_a_warning(administrator):
    response = administrator.post("/registries/new/", form_values(), follow=True)

    assert Endpoint.objects.get(name="mirror").health == Endpoint.Health.UNHEALTHY
    assert "mirror is saved, but does not work yet:" in text_of(response)


def test_connection_test_shows_its_steps_and_stores_nothing(administrator, memory_registry):
    values = form_values(url=memory_registry.url, name="", test="1")

    response = administrator.post("/registries/new/", values, **asks_for("test-result"))

    text = text_of(response)
    assert "Connection test" in text
    assert "Registry API" in text
    assert not Endpoint.objects.exists()


def test_connection_test_says_which_step_fails_and_why(administrator):
    text = text_of(administrator.post("/registries/new/", form_values(test="1"), **asks_for("test-result")))

    assert "Reaching 127.0.0.1: the connection was refused" in text
    assert "Not tried, because an earlier step failed" in text


def test_connection_test_without_htmx_keeps_the_form_as_typed(administrator):
    response = administrator.post("/registries/new/", form_values(name="typed-name", test="1"))

    assert b'value="typed-name"' in response.content
    assert "Connection test" in text_of(response)


def test_connection_test_tries_the_new_address_without_the_stored_secret(administrator):
    endpoint = make_endpoint(name="mirror", url="https://old.example.com", access_key="sync", secret="old-secret")
    with_password = form_values(access_key="sync", test="1")

    text = text_of(administrator.post(f"/registries/{endpoint.pk}/edit/", with_password, **asks_for("test-result")))

    assert "Reaching 127.0.0.1" in text
    assert "old.example.com" not in text


def test_stored_secret_is_never_sent_to_the_browser(administrator):
    endpoint = make_endpoint(access_key="sync", secret="do-not-show-me")

    assert b"do-not-show-me" not in administrator.get(f"/registries/{endpoint.pk}/edit/").content


def test_typed_secret_comes_back_with_the_errors_of_other_fields(administrator):
    endpoint = make_endpoint(access_key="sync", secret="do-not-show-me")
    typed = form_values(access_key="sync", secret="typed-just-now", max_connections="0")

    response = administrator.post(f"/registries/{endpoint.pk}/edit/", typed)

    assert response.status_code == 422
    assert b'value="typed-just-now"' in response.content
    assert b"do-not-show-me" not in response.content


def test_all_that_is_wrong_is_said_at_once(administrator):
    typed = form_values(name="mirror", url="ftp://mirror", max_connections="0", ca_certificate="none")

    body = administrator.post("/registries/new/", typed).content.decode()

    for field in ("url", "max_connections", "ca_certificate"):
        assert f'id="id_{field}_error"' in body


def test_what_was_learned_is_told_in_words(administrator):
    learned = {"acknowledges_subject": False, "referrers_api": False, "sends_links": True}
    endpoint = make_endpoint(capabilities=learned)

    text = text_of(administrator.get(f"/registries/{endpoint.pk}/edit/"))

    assert "It takes no note of what a pushed signature refers to" in text
    assert not any(name in text for name in learned)


def test_empty_secret_keeps_the_stored_one(administrator):
    endpoint = make_endpoint(name="mirror", url=NOWHERE, access_key="sync", secret="kept")

    administrator.post(f"/registries/{endpoint.pk}/edit/", form_values(access_key="sync"))

    endpoint.refresh_from_db()
    assert endpoint.reveal_secret() == "kept"


def test_without_a_user_name_the_secret_is_dropped(administrator):
    endpoint = make_endpoint(name="mirror", url=NOWHERE, access_key="sync", secret="dropped")

    administrator.post(f"/registries/{endpoint.pk}/edit/", form_values(access_key=""))

    endpoint.refresh_from_db()
    assert not endpoint.has_secret


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("name", "", "This field is required."),
        ("url", "ftp://registry", "http"),
        ("ca_certificate", "nonsense", "This is not a PEM certificate."),
        ("proxy_url", "socks://x", "A proxy URL looks like"),
        ("kind", "floppy", "floppy"),
    ],
)
def test_what_is_wrong_is_said_above_and_beside_the_field(field, value, sentence, administrator):
    response = administrator.post("/registries/new/", form_values(**{field: value, "description": "what I typed"}))

    body = response.content.decode()
    assert response.status_code == 422
    assert 'class="summary"' in body
    assert f'id="id_{field}_error"' in body
    assert sentence in text_of(response)
    assert "what I typed" in body


def test_dialog_gets_errors_with_status_200_because_htmx_swaps_nothing_else(administrator):
    response = administrator.post("/registries/new/", form_values(name=""), **asks_for("dialog"))

    assert response.status_code == 200
    assert b'class="summary"' in response.content


def test_a_taken_name_is_refused(administrator):
    make_endpoint(name="mirror")

    assert administrator.post("/registries/new/", form_values()).status_code == 422


def test_hostile_names_are_shown_as_text(administrator):
    make_endpoint(name="<script>alert(1)</script>", description='"><img src=x onerror=alert(1)>')

    body = administrator.get("/registries/").content.decode()

    assert "<script>alert" not in body
    assert "<img src=x" not in body


def test_check_of_a_stored_registry_shows_the_steps_and_stores_the_health(administrator, memory_registry):
    endpoint = make_endpoint(url=memory_registry.url)

    response = administrator.post(f"/registries/{endpoint.pk}/check/", **asks_for("dialog"))

    endpoint.refresh_from_db()
    assert endpoint.health == Endpoint.Health.HEALTHY
    assert "Healthy" in text_of(response)
    assert administrator.get(f"/registries/{endpoint.pk}/check/").status_code == 405


def test_check_is_for_administrators(member):
    endpoint = make_endpoint()

    assert member.post(f"/registries/{endpoint.pk}/check/").status_code == 403


def test_delete_asks_first_and_then_deletes(administrator):
    endpoint = make_endpoint(name="mirror")

    question = text_of(administrator.get(f"/registries/{endpoint.pk}/delete/"))
    assert "Do you want to delete the endpoint mirror?" in question
    assert Endpoint.objects.filter(pk=endpoint.pk).exists()

    administrator.post(f"/registries/{endpoint.pk}/delete/")
    assert not Endpoint.objects.filter(pk=endpoint.pk).exists()


def test_a_registry_in_use_is_not_deleted_and_the_rule_is_named(administrator):
    endpoint = make_endpoint(name="mirror")
    make_rule(name="to-mirror", targets=[endpoint])

    response = administrator.post(f"/registries/{endpoint.pk}/delete/")

    assert response.status_code == 409
    assert "to-mirror" in text_of(response)
    assert Endpoint.objects.filter(pk=endpoint.pk).exists()


def test_notification_set_up_shows_the_address_with_the_token(administrator, settings):
    settings.EXTERNAL_URL = "https://sync.example.com"
    endpoint = make_endpoint(notification_token="the-token")

    body = administrator.get(f"/registries/{endpoint.pk}/notifications/").content.decode()

    assert body.count("https://sync.example.com/service/notifications/the-token/") == 2
