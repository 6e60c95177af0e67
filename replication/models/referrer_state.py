"""What we know the targets to have been given of the referrers of an artifact."""

from django.db import models

from targets.models import Endpoint


class ReferrerState(models.Model):
    """The versions of the source's lists when an artifact's referrers were last carried over to (or found at) a place.

    Not kept for an artifact without children that nothing refers to: there is nothing to know.
    """

    endpoint = models.ForeignKey(Endpoint, on_delete=models.CASCADE, related_name="referrer_states")
    repository = models.CharField(max_length=255)
    digest = models.CharField(max_length=160)  # of what has a tag
    # {digest: version} for the artifact, what is below it and what refers to these; "": nothing refers to it.
    versions = models.JSONField(default=dict)
    checked_at = models.DateTimeField()  # when all of these were last asked for

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["endpoint", "repository", "digest"], name="one_referrer_state_per_artifact")
        ]
        indexes = [models.Index(fields=["checked_at"], name="referrer_state_checked")]

    def __str__(self) -> str:
        return f"{self.repository}@{self.digest[:19]}"
