"""What registries were found to be able to do, kept beyond the process that found it out."""

from django.db import transaction

from registry import Connection
from targets.models import Endpoint

SPARSE_INDEX = "sparse_index"


def recall(endpoint: Endpoint, connection: Connection) -> bool | None:
    """Tell a connection what the endpoint's row says of sparse indexes, and return it; None is not known (any more)."""
    noted = endpoint.capabilities.get(SPARSE_INDEX)
    connection.learned.sparse_index = noted if isinstance(noted, bool) else None
    return connection.learned.sparse_index


def note(endpoint_id: int, *, sparse_index: bool) -> None:
    """Write down whether a registry takes sparse indexes."""
    with transaction.atomic():
        endpoint = Endpoint.objects.select_for_update().filter(pk=endpoint_id).first()
        if endpoint is not None:
            endpoint.capabilities = {**endpoint.capabilities, SPARSE_INDEX: sparse_index}
            endpoint.save(update_fields=["capabilities"])


def refuses_sparse_indexes(endpoint: Endpoint) -> bool:
    """Say whether the registry was found to refuse an index whose images are not all there."""
    return endpoint.capabilities.get(SPARSE_INDEX) is False
