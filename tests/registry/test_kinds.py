import pytest

from registry.kinds import KINDS, find_kind
from registry.reference import normalise_registry_url

HARBOR_ADAPTERS = {
    "ali-acr", "aws-ecr", "azure-acr", "docker-hub", "docker-registry", "dtr", "github-ghcr", "gitlab", "google-gcr",
    "harbor", "huawei-SWR", "jfrog-artifactory", "quay", "tencent-tcr", "volcengine-cr",
}  # fmt: skip


def test_the_names_are_those_of_harbors_adapters():
    assert {kind.name for kind in KINDS} == HARBOR_ADAPTERS


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_kind_offers_usable_addresses(kind):
    assert find_kind(kind.name) is kind
    for url in filter(None, [kind.default_url, *(url for _, url in kind.endpoints)]):
        assert normalise_registry_url(url) == url


@pytest.mark.parametrize(
    ("name", "repository", "is_accepted"),
    [
        ("docker-registry", "app", True),
        ("harbor", "app", False),
        ("harbor", "team/sub/app", True),
        ("docker-hub", "team/app", True),
        ("docker-hub", "team/sub/app", False),
    ],
)
def test_how_deep_names_may_be(name, repository, is_accepted):
    assert find_kind(name).accepts_path(repository) is is_accepted


def test_an_unknown_kind_is_none():
    assert find_kind("teapot") is None
