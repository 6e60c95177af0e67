import logging

import pytest

from registry import AuthError, DeniedError, NotFoundError, ProtocolError, ServerError, UnsupportedError
from registry.client.listings import next_link
from registry.testkit import Fault, MemoryRegistry, known_faults

TAGS = [f"v{number:02}" for number in range(25)]


@pytest.fixture
def paged():
    with MemoryRegistry(page_size=10) as registry:
        for tag in TAGS:
            registry.add_image("team/app", tag)
        yield registry


def test_all_pages_are_read_and_sorted(paged, make_client):
    assert make_client(paged).tags("team/app") == TAGS
    assert len(paged.requests) == 3
    assert paged.requests[0].query == "n=1000"


def test_the_catalogue_is_read_page_by_page(make_client):
    with MemoryRegistry(page_size=2) as registry:
        for name in "abcde":
            registry.add_image(f"team/{name}", "1")
        repositories = make_client(registry).repositories()

        assert next(repositories) == "team/a"
        assert len(registry.requests) == 1
        assert list(repositories) == ["team/b", "team/c", "team/d", "team/e"]


@pytest.mark.parametrize(
    "form",
    [
        pytest.param('<{path}>; rel="next"', id="relative"),
        pytest.param("<{path}>; rel=next", id="unquoted"),
        pytest.param('<http://127.0.0.1:1{path}>; rel="next"', id="absolute with another port"),
        pytest.param('<https://127.0.0.1{path}>; title="x"; rel="next"', id="absolute with another scheme"),
        pytest.param('</other>; rel="prev", <{path}>; REL="Next"', id="after another link"),
        pytest.param('{path}; rel="next"', id="without angle brackets"),
    ],
)
def test_links_are_followed_whatever_their_form(paged, make_client, form):
    paged.faults.add(known_faults.odd_link(form))

    assert make_client(paged).tags("team/app") == TAGS


def test_a_link_to_another_host_is_refused(paged, make_client):
    paged.faults.add(known_faults.odd_link('<http://evil.test{path}>; rel="next"'))

    with pytest.raises(ProtocolError, match="another host"):
        make_client(paged).tags("team/app")


def test_a_link_that_is_no_address_is_refused(paged, make_client):
    paged.faults.add(known_faults.odd_link('<http://[broken{path}>; rel="next"'))

    with pytest.raises(ProtocolError, match="address is none"):
        make_client(paged).tags("team/app")


def test_a_link_that_leads_back_does_not_go_on_for_ever(paged, make_client):
    paged.faults.add(known_faults.odd_link('</v2/team/app/tags/list?n=1000>; rel="next"'))

    with pytest.raises(ProtocolError, match="circle"):
        make_client(paged).tags("team/app")


def test_a_page_that_looks_full_without_link_is_continued_by_its_last_entry(make_client):
    tags = [f"v{number:03}" for number in range(250)]
    with MemoryRegistry(page_size=100) as registry:
        for tag in tags:
            registry.add_image("team/app", tag, layers=[b"one layer"])
        registry.faults.add(known_faults.listing_without_link())

        assert make_client(registry).tags("team/app") == tags
        assert "last=v099" in registry.requests[1].query


def test_a_full_page_that_was_all_there_is_costs_one_more_request_and_ends(make_client):
    with MemoryRegistry() as registry:
        for number in range(100):
            registry.add_image("team/app", f"v{number}", layers=[b"one layer"])
        registry.faults.add(known_faults.listing_without_link())

        assert len(make_client(registry).tags("team/app")) == 100
        assert len(registry.requests) == 2


def test_a_registry_that_was_seen_to_link_its_pages_is_not_asked_for_another(make_client):
    with MemoryRegistry(page_size=100) as registry:
        for number in range(200):
            registry.add_image("team/app", f"v{number}", layers=[b"one layer"])
        for number in range(100):
            registry.add_image("team/other", f"v{number}", layers=[b"one layer"])
        client = make_client(registry)
        client.tags("team/app")
        registry.requests.clear()

        assert len(client.tags("team/other")) == 100
        assert len(registry.requests) == 1


def test_a_registry_that_refuses_the_page_size_is_asked_without_one(paged, make_client):
    paged.faults.add(
        Fault(path_pattern="n=1000", status=400, body=b'{"errors":[{"code":"PAGINATION_NUMBER_INVALID"}]}')
    )

    assert make_client(paged).tags("team/app") == TAGS


def test_entries_that_are_no_tags_are_dropped_with_a_warning(memory_registry, make_client, caplog):
    memory_registry.add_image("team/app", "1")
    memory_registry.faults.add(known_faults.null_entries())

    with caplog.at_level(logging.WARNING):
        assert make_client(memory_registry).tags("team/app") == ["1"]
    assert "bad_entries" in caplog.text


def test_no_tags_may_be_null(memory_registry, make_client):
    memory_registry.add_image("team/app", "1")
    memory_registry.faults.add(known_faults.null_listing())

    assert make_client(memory_registry).tags("team/app") == []


def test_an_unknown_repository_is_not_the_same_as_an_empty_one(memory_registry, make_client):
    with pytest.raises(NotFoundError):
        make_client(memory_registry).tags("team/none")


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        pytest.param(Fault(status=401), AuthError, id="401"),
        pytest.param(Fault(status=403), DeniedError, id="403"),
        pytest.param(Fault(status=404, body=b'{"errors":[{"code":"UNAUTHORIZED"}]}'), AuthError, id="404 about rights"),
        pytest.param(known_faults.html_instead_of_json(1, status=404), ProtocolError, id="404 web page"),
        pytest.param(known_faults.html_instead_of_json(), ProtocolError, id="web page"),
        pytest.param(Fault(status=503), ServerError, id="503"),
        pytest.param(Fault(status=200, body=b"{"), ProtocolError, id="broken JSON"),
        pytest.param(Fault(status=200, body=b'{"name": "x"}'), ProtocolError, id="no list"),
        pytest.param(Fault(status=200, body=b'{"tags": "abc"}'), ProtocolError, id="list is a text"),
        pytest.param(Fault(status=200, body=b"[]"), ProtocolError, id="list without object"),
    ],
)
def test_trouble_never_looks_like_an_empty_repository(memory_registry, make_client, fault, kind):
    memory_registry.add_image("team/app", "1")
    memory_registry.faults.add(fault)

    with pytest.raises(kind):
        make_client(memory_registry).tags("team/app")


def test_an_error_on_a_later_page_is_not_swallowed(paged, make_client):
    paged.faults.add(Fault(path_pattern="last=", status=502, times=None))

    with pytest.raises(ServerError):
        make_client(paged).tags("team/app")


@pytest.mark.parametrize(("status", "kind"), [(404, UnsupportedError), (405, UnsupportedError), (403, DeniedError)])
def test_a_registry_without_catalogue_says_which_way(memory_registry, make_client, status, kind):
    memory_registry.faults.add(Fault(path_pattern="_catalog", status=status))

    with pytest.raises(kind):
        list(make_client(memory_registry).repositories())


def test_a_kind_that_never_has_a_catalogue_is_not_asked(memory_registry, make_client):
    with pytest.raises(UnsupportedError):
        make_client(memory_registry, kind="github-ghcr").repositories()
    assert memory_registry.requests == []


def test_names_that_are_none_are_refused_before_any_request(memory_registry, make_client):
    with pytest.raises(ValueError, match="repository name"):
        make_client(memory_registry).tags("../../etc")
    assert memory_registry.requests == []


@pytest.mark.parametrize("line", ["", ";", "<", "<>", "<x>", 'rel="next"', "<x>; rel=nextpage", '<x>; rel="prev"'])
def test_headers_without_a_next_link_have_none(line):
    assert not next_link([line])
