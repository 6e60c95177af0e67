"""What work cost, as one object of the API: HarborSync's own."""

from typing import Any

from rest_framework import serializers

from replication.models.costs import METHODS, OTHER, SIDES, column_of

OTHERS_HELP = "Methods without a figure of their own, such as a POST for a token of the source."


def _count(column: str, **options: Any) -> serializers.IntegerField:
    return serializers.IntegerField(source=column, **options)


class SideSerializer(serializers.Serializer[Any]):
    """Requests to one side by method; those for tokens and those after a redirect are counted by theirs."""

    side = ""

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """Return one figure per method."""
        methods = {method: _count(column_of(self.side, method)) for method in METHODS[self.side]}
        return {**methods, OTHER: _count(column_of(self.side, OTHER), help_text=OTHERS_HELP)}


class SourceRequestsSerializer(SideSerializer):
    """Requests to the source by method."""

    side = SIDES[0]


class TargetRequestsSerializer(SideSerializer):
    """Requests to the target by method."""

    side = SIDES[1]


class RequestsSerializer(serializers.Serializer[Any]):
    """Requests to both sides."""

    target = TargetRequestsSerializer(source="*", help_text="`{method: requests}`.")
    total = _count("requests")

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """Add the source; as an attribute it would hide the field's own `source`."""
        source = SourceRequestsSerializer(
            source="*",
            help_text="`{method: requests}`. In a copy to several targets the source is read for all of them at once: "
            "that counts for the first.",
        )
        return {"source": source, **super().get_fields()}


class BytesSerializer(serializers.Serializer[Any]):
    """Bytes by the way they went."""

    read = _count("bytes_read", help_text="Bodies of the source's answers, listings and manifests among them.")
    written = _count("bytes_written", help_text="Bodies sent to the target, those of broken attempts among them.")
    copied = _count("bytes_copied", help_text="Of layers, sent to the target.")
    mounted = _count("bytes_mounted", help_text="Of layers, taken over from another repository of the target.")
    present = _count("bytes_present", help_text="Of layers that the target had.")


class WaitsSerializer(serializers.Serializer[Any]):
    """Times that work was parked because of a limit, the registry's own or one set for it."""

    count = _count("waits")
    seconds = _count("waited_seconds", help_text="Of waits that are over; those beside each other add up.")


class StatisticsSerializer(serializers.Serializer[Any]):
    """Everything that was counted."""

    requests = RequestsSerializer(source="*")
    bytes = BytesSerializer(source="*")
    retries = serializers.IntegerField(help_text="Attempts after the first, and requests that were repeated at once.")
    waits = WaitsSerializer(source="*")
