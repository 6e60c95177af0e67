"""The examples in the docstrings of the API's modules are true."""

import doctest
from types import ModuleType

import pytest

from harborsync.lib.api import errors, fields, lists, queries
from replication import run_serializers


@pytest.mark.parametrize(
    "module", [errors, fields, lists, queries, run_serializers], ids=lambda module: str(module.__name__)
)
def test_the_examples_of_a_module_hold(module: ModuleType):
    result = doctest.testmod(module)
    assert result.attempted
    assert not result.failed
