"""Harbor's numbers for registries: 0 is the local one, the others have their own (API contract, section 5)."""

from targets.models import Endpoint

LOCAL_ID = 0


def api_id(endpoint: Endpoint) -> int:
    """Return the number that API clients know the endpoint by."""
    return LOCAL_ID if endpoint.is_local else int(endpoint.pk)


def endpoint_with_api_id(number: int) -> Endpoint | None:
    """Return the endpoint of this number; None when there is none. The local one answers to 0 only."""
    if number == LOCAL_ID:
        return Endpoint.objects.local()
    return Endpoint.objects.filter(pk=number, is_local=False).first()
