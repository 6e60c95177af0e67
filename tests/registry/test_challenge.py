import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.challenge import Challenge, format_challenge, parse_challenges, pick_challenge


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        pytest.param([], [], id="none"),
        pytest.param(["Basic"], [Challenge("basic")], id="bare scheme"),
        pytest.param(['BASIC realm="x"'], [Challenge("basic", {"realm": "x"})], id="upper case"),
        pytest.param(
            ['Bearer realm="https://a/token",service="s",scope="repository:a/b:pull,push"'],
            [Challenge("bearer", {"realm": "https://a/token", "service": "s", "scope": "repository:a/b:pull,push"})],
            id="commas inside quotes",
        ),
        pytest.param(
            ["Bearer realm=https://a/token, service=s"],
            [Challenge("bearer", {"realm": "https://a/token", "service": "s"})],
            id="values without quotes",
        ),
        pytest.param(
            ['Bearer realm="a \\"quoted\\" \\\\ one"'],
            [Challenge("bearer", {"realm": 'a "quoted" \\ one'})],
            id="quoted pairs",
        ),
        pytest.param(
            ['Negotiate, Basic realm="x", Bearer realm="y"'],
            [Challenge("negotiate"), Challenge("basic", {"realm": "x"}), Challenge("bearer", {"realm": "y"})],
            id="several in one line",
        ),
        pytest.param(
            ['Negotiate YII+abc/==, Basic realm="x"'],
            [Challenge("negotiate"), Challenge("basic", {"realm": "x"})],
            id="an opaque value before the next",
        ),
        pytest.param(
            ['Basic realm="x"', 'Bearer realm="y"'],
            [Challenge("basic", {"realm": "x"}), Challenge("bearer", {"realm": "y"})],
            id="several lines",
        ),
        pytest.param(
            ['Bearer realm = "x" , service = "y"'],
            [Challenge("bearer", {"realm": "x", "service": "y"})],
            id="spaces around the equals sign",
        ),
        pytest.param(['Bearer realm="never closed'], [Challenge("bearer", {"realm": "never closed"})], id="open quote"),
    ],
)
def test_challenges_are_read_whatever_their_form(lines, expected):
    assert parse_challenges(lines) == expected


@pytest.mark.parametrize(
    "line", ["", ",,,", "=", '"', "Bearer =x", "@@@ Basic", 'Basic realm="a" @ b', "\\", "Bearer ,=,"]
)
def test_nonsense_ends_and_raises_nothing(line):
    parse_challenges([line])


def test_bearer_is_preferred_over_basic_and_unknown_schemes_are_passed_over():
    picked = pick_challenge(parse_challenges(['Negotiate, Basic realm="b", Bearer realm="t"']))

    assert picked == Challenge("bearer", {"realm": "t"})


def test_bearer_without_a_realm_is_of_no_use():
    assert pick_challenge(parse_challenges(['Bearer service="s", Basic realm="b"'])) == Challenge(
        "basic", {"realm": "b"}
    )


def test_nothing_usable_picks_nothing():
    assert pick_challenge(parse_challenges(["Negotiate"])) is None


_tokens = st.text("abcdefghijklmnopqrstuvwxyz-", min_size=1, max_size=8)
_values = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30)
_challenges = st.builds(Challenge, _tokens, st.dictionaries(_tokens, _values, min_size=1, max_size=4))


@given(st.lists(_challenges, max_size=4))
def test_what_is_formatted_is_read_back(challenges):
    line = ", ".join(format_challenge(challenge) for challenge in challenges)

    assert parse_challenges([line]) == challenges


@given(st.text(max_size=60))
def test_any_text_can_be_parsed(line):
    parse_challenges([line])
