"""What work cost, counted on transfers, tasks and executions. docs/counters.md says what each counter means."""

from django.db import models

SIDES = ("source", "target")
# What has a column. The rest, such as a POST that trades a refresh token for a token of the source, is "others".
METHODS = {"source": ("HEAD", "GET"), "target": ("HEAD", "GET", "POST", "PATCH", "PUT", "DELETE")}
OTHER = "OTHER"


class Costs(models.Model):
    """Requests by side and method, bytes, retries and waits. Changed by F() only."""

    requests = models.PositiveIntegerField(default=0)  # the sum of those below
    source_heads = models.PositiveIntegerField(default=0)
    source_gets = models.PositiveIntegerField(default=0)
    source_others = models.PositiveIntegerField(default=0)
    target_heads = models.PositiveIntegerField(default=0)
    target_gets = models.PositiveIntegerField(default=0)
    target_posts = models.PositiveIntegerField(default=0)
    target_patches = models.PositiveIntegerField(default=0)
    target_puts = models.PositiveIntegerField(default=0)
    target_deletes = models.PositiveIntegerField(default=0)
    target_others = models.PositiveIntegerField(default=0)
    # Bodies of answers from the source, and of requests to the target; those of broken attempts are among them.
    bytes_read = models.BigIntegerField(default=0)
    bytes_written = models.BigIntegerField(default=0)
    retries = models.PositiveIntegerField(default=0)
    # Parked because of a limit, and for how long until it was taken again or stopped; waits beside each other add up.
    waits = models.PositiveIntegerField(default=0)
    waited_seconds = models.PositiveIntegerField(default=0)

    class Meta:
        abstract = True

    @property
    def requests_by_side(self) -> dict[str, dict[str, int]]:
        """Return `{side: {method: count}}`, with OTHER for methods without a column."""
        return {
            side: {method: getattr(self, column_of(side, method)) for method in (*METHODS[side], OTHER)}
            for side in SIDES
        }


def column_of(side: str, method: str) -> str:
    """Return the column that counts requests of this method to this side.

    >>> column_of("source", "GET"), column_of("target", "PATCH"), column_of("source", "POST")
    ('source_gets', 'target_patches', 'source_others')
    """
    if method not in METHODS[side]:
        return f"{side}_others"
    return f"{side}_{method.lower()}{'es' if method.endswith('H') else 's'}"
