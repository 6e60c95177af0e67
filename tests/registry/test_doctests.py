import doctest
import importlib

import pytest


@pytest.mark.parametrize(
    "name",
    ["redaction", "digests", "reference", "refusals", "challenge", "media", "client.listings", "gate", "ratelimits"],
)
def test_the_examples_in_the_docstrings_run(name):
    failed, attempted = doctest.testmod(importlib.import_module(f"registry.{name}"))

    assert attempted
    assert not failed
