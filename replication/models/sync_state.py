"""What we know the targets to hold."""

from django.db import models

from targets.models import Endpoint


class SyncState(models.Model):
    """The digest that we last put at (or found in step at) a tag of an endpoint."""

    endpoint = models.ForeignKey(Endpoint, on_delete=models.CASCADE, related_name="sync_states")
    repository = models.CharField(max_length=255)
    tag = models.CharField(max_length=128)
    digest = models.CharField(max_length=160)
    # What the source had when that differs, and the platforms chosen (`str(PlatformChoice)`); "": all.
    source_digest = models.CharField(max_length=160, blank=True)
    selection = models.TextField(blank=True)
    put_at = models.DateTimeField()
    verified_at = models.DateTimeField()  # when the target last said so itself

    class Meta:
        constraints = [models.UniqueConstraint(fields=["endpoint", "repository", "tag"], name="one_sync_state_per_tag")]

    def __str__(self) -> str:
        return f"{self.repository}:{self.tag} {self.digest[:19]}"
