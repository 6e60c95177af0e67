"""Doublestar patterns: Harbor's truth table, the grammar, and what is refused."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replication.patterns import PatternError, compile_pattern, expand_braces, literals


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("*", "hello-world", True),
        ("*", "library/hello-world", False),
        ("*", "", True),
        ("**", "library/my/hello-world", True),
        ("**", "", True),
        ("library/*", "library/hello-world", True),
        ("library/*", "library/my/hello-world", False),
        ("library/**", "library/hello-world", True),
        ("library/**", "library/my/hello-world", True),
        ("library/**", "lib/x", False),
        ("library/**", "libraryx", False),
        ("{library,goharbor}/**", "goharbor/harbor-core", True),
        ("{library,goharbor}/**", "google/x", False),
        ("**/img", "img", True),
        ("**/img", "a/b/img", True),
        ("**/img", "a/bimg", False),
        ("a/**/z", "a/z", True),
        ("a/**/z", "a/b/c/z", True),
        ("a/**/z", "az", False),
        ("foo**", "foobar", True),
        ("foo**", "foo/bar", False),
        ("1.?", "1.0", True),
        ("1.?", "1.01", False),
        ("1.?", "1./", False),
        ("v2.[4-7].*", "v2.5.1", True),
        ("v2.[4-7].*", "v2.8.0", False),
        ("[^a-c]x", "dx", True),
        ("[^a-c]x", "ax", False),
        ("[^a]x", "/x", False),
        ("v1.0+build", "v1.0+build", True),
        ("v1.0", "v1x0", False),
        ("\\*", "*", True),
        ("\\*", "a", False),
        ("{a,b{c,d}}", "bd", True),
        ("{a/b,c/**}", "c/d/e", True),
        ("A", "a", False),
        ("latest", "latest2", False),
        ("[]]", "]", True),
        ("[a-c^]", "^", True),
    ],
)
def test_a_pattern_matches_as_doublestar_does(pattern, text, matches):
    assert bool(compile_pattern(pattern).fullmatch(text)) is matches


@pytest.mark.parametrize(
    ("pattern", "hint"),
    [
        ("[abc", r"a \[ is not closed"),
        ("{a,b", r"a { is not closed"),
        ("a\\", "backslash"),
        ("[z-a]", "low to high"),
        ("{a,b}" * 12, "more than 1000 alternatives"),
    ],
)
def test_a_pattern_that_cannot_be_read_says_why(pattern, hint):
    with pytest.raises(PatternError, match=hint):
        compile_pattern(pattern)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("library/a", ["library/a"]),
        ("{library,x}/{a,b}", ["library/a", "library/b", "x/a", "x/b"]),
        ("library/*", None),
        ("library/[ab]", None),
        ("a\\*", ["a*"]),
    ],
)
def test_literals_are_named_only_when_nothing_is_wild(pattern, expected):
    assert literals(pattern) == expected


@given(st.text(alphabet="abc/.-_", max_size=30))
def test_a_text_without_wildcards_matches_itself_alone(text):
    compiled = compile_pattern(text)
    assert compiled.fullmatch(text)
    assert not compiled.fullmatch(text + "x")


@given(st.text(alphabet="ab*?[]{},\\/^-!", max_size=20))
def test_any_text_is_either_a_pattern_or_refused(text):
    try:
        compiled = compile_pattern(text)
    except PatternError:
        return
    assert isinstance(compiled, re.Pattern)
    compiled.fullmatch("a/b")


def test_braces_expand_in_order():
    assert expand_braces("{a,b{c,}}x") == ["ax", "bcx", "bx"]
