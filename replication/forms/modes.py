"""Harbor's replication modes, which here only say which registries the form asks for."""

from django.db import models
from django.utils.translation import pgettext_lazy

from replication.models import Rule


class Mode(models.TextChoices):
    """Which side of a rule is the local registry."""

    PUSH = "push", pgettext_lazy("replication mode", "Push-based")
    PULL = "pull", pgettext_lazy("replication mode", "Pull-based")
    ANY = "any", pgettext_lazy("replication mode", "Registry to registry")


def mode_of(rule: Rule) -> Mode:
    """Return the mode of a stored rule; reads its source and targets."""
    if rule.source.is_local or rule.project_id is not None:
        return Mode.PUSH
    targets = list(rule.targets.all())
    return Mode.PULL if len(targets) == 1 and targets[0].endpoint.is_local else Mode.ANY
