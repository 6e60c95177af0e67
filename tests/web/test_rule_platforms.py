"""The platforms of a rule: in its form, in the preview, in the list of rules."""

import pytest

from replication.models import Rule
from tests.factories import make_endpoint, make_local_endpoint, make_rule
from tests.web.reading import asks_for, text_of
from tests.web.test_rule_editor import rule_values

pytestmark = pytest.mark.django_db

NEW = "/replications/new/"


def limited_values(target, **overrides):
    values = {"platforms": "linux/amd64, linux/arm64/v8", "platform_mode": "rewritten", "targets-0-endpoint": target.pk}
    return rule_values(**{**values, **overrides})


def test_a_rule_is_stored_with_its_platforms(administrator, target):
    administrator.post(NEW, limited_values(target))
    rule = Rule.objects.get()
    assert (rule.platforms, rule.platform_mode) == ("linux/amd64,linux/arm64", "rewritten")
    assert rule.to_spec().platforms == ("linux/amd64", "linux/arm64")


def test_a_mode_without_platforms_does_not_count(administrator, target):
    administrator.post(NEW, limited_values(target, platforms=" "))
    rule = Rule.objects.get()
    assert (rule.platforms, rule.platform_mode) == ("", "")


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"platforms": "x86_64"}, "platforms", "x86_64 is not a platform: write linux/amd64."),
        ({"platforms": "linux/amd64, linux"}, "platforms", "linux is not a platform: write os/arch or os/arch/variant"),
        ({"platform_mode": ""}, "platform_mode", "Choose how the platforms are taken"),
        ({"platform_mode": "single"}, "platform_mode", "A single image is for one platform"),
        ({"platform_mode": "other"}, "platform_mode", "Select a valid choice"),
    ],
)
def test_what_is_wrong_with_platforms_is_said_where_it_is(administrator, target, change, field, words):
    response = administrator.post(NEW, limited_values(target, **change))
    assert response.status_code == 422
    assert words in text_of(response)
    assert f'id="id_{field}_error"' in response.content.decode()
    assert not Rule.objects.exists()


def test_a_registry_known_to_refuse_sparse_indexes_is_named(administrator, target):
    target.capabilities = {"sparse_index": False}
    target.save()
    response = administrator.post(NEW, limited_values(target, platform_mode="sparse"))
    assert "mirror was found to refuse sparse indexes: choose the rewritten index." in text_of(response)


def test_the_form_says_what_each_mode_means_for_signatures(administrator, target):
    text = text_of(administrator.get(NEW))
    assert "it has a new digest, so signatures of the original do not count for it" in text
    assert "many registries refuse an index whose images are not all there" in text


def test_an_edit_keeps_platforms_and_the_list_shows_them(administrator, target):
    rule = make_rule(targets=[target], platforms="linux/amd64,linux/arm64", platform_mode="rewritten")

    body = administrator.get(f"/replications/{rule.pk}/edit/").content.decode()
    assert 'value="linux/amd64, linux/arm64"' in body
    assert "checked" in body.partition('value="rewritten"')[2].partition(">")[0]

    assert "linux/amd64, linux/arm64 Rewritten index" in text_of(administrator.get("/replications/"))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({}, "becomes an index of linux/amd64, linux/arm64 with a new digest."),
        ({"platform_mode": "sparse"}, "keeps its digest, and only linux/amd64, linux/arm64 is there to be pulled."),
        ({"platforms": "linux/arm", "platform_mode": "single"}, "becomes the one image for linux/arm."),
        ({"platforms": "amd64"}, "amd64 is not a platform: write linux/amd64."),
    ],
)
def test_the_preview_says_what_becomes_of_an_image(administrator, target, change, sentence):
    values = limited_values(target, draft="preview", **change)
    assert sentence in text_of(administrator.post(NEW, values, **asks_for("rule-preview")))


def test_the_preview_says_nothing_of_platforms_when_all_are_taken(administrator, target):
    values = limited_values(target, draft="preview", platforms="")
    assert "multi-platform" not in text_of(administrator.post(NEW, values, **asks_for("rule-preview")))


@pytest.mark.parametrize(
    ("there", "back", "is_warned"),
    [("rewritten", "", True), ("", "rewritten", True), ("sparse", "", False), ("", "", False)],
)
def test_a_rule_that_is_copied_back_by_another_says_what_becomes_of_reduced_copies(
    administrator, target, there, back, is_warned
):
    platforms = "linux/amd64" if back else ""
    make_rule(name="homeward", source=target, targets=[make_local_endpoint()], platforms=platforms, platform_mode=back)
    values = limited_values(target, platforms="linux/amd64" if there else "", platform_mode=there)

    response = administrator.post(NEW, values, follow=True)

    assert ("homeward copies the other way." in text_of(response)) is is_warned


def test_a_rule_of_other_registries_is_no_way_back(administrator, target):
    make_rule(name="elsewhere", source=target, targets=[make_endpoint()])
    response = administrator.post(NEW, limited_values(target), follow=True)
    assert "copies the other way" not in text_of(response)
