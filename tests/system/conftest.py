"""One running product for all tests of this folder: each uses a namespace of its own."""

from collections.abc import Iterator

import pytest

from tests.system.stack import Stack, running_stack


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Give the running product."""
    with running_stack(tmp_path_factory.mktemp("stack")) as running:
        yield running
