"""Endpoint rows. Secrets are written encrypted and read back only where a registry is about to be asked."""

import hashlib
import secrets

from django.db import models
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from harborsync.lib import crypto
from harborsync.lib.timetable import Timetable
from harborsync.lib.timetable.rows import MAX_LENGTH, validate_windows, validate_zone, windows_are_written_right


class EndpointQuerySet(models.QuerySet["Endpoint"]):
    """Questions asked about endpoints."""

    def local(self) -> "Endpoint | None":
        """Return this installation's own registry, if one is named."""
        return self.filter(is_local=True).first()

    def with_notification_token(self, token: str) -> "Endpoint | None":
        """Return the endpoint that notifications with this token come from."""
        return self.filter(notification_token_hash=hash_token(token)).first()


class Endpoint(models.Model):
    """A registry: where it is, how to authenticate, and how it was when last asked."""

    class Health(models.TextChoices):
        """What the last check found."""

        UNVERIFIED = "unverified", pgettext_lazy("endpoint health", "Unverified")
        HEALTHY = "healthy", pgettext_lazy("endpoint health", "Healthy")
        UNHEALTHY = "unhealthy", pgettext_lazy("endpoint health", "Unhealthy")

    class CredentialKind(models.TextChoices):
        """Harbor's words for how the access key and secret are used."""

        BASIC = "basic", _("User name and password")
        OAUTH = "oauth", _("Identity token")
        SECRET = "secret", _("Shared secret")

    name = models.CharField(_("name"), max_length=64, unique=True)
    description = models.TextField(_("description"), blank=True)
    kind = models.CharField(_("provider"), max_length=32, default="docker-registry")
    url = models.CharField(_("endpoint URL"), max_length=512)
    credential_kind = models.CharField(
        _("credential kind"), max_length=8, choices=CredentialKind.choices, default=CredentialKind.BASIC
    )
    access_key = models.CharField(_("access ID"), max_length=255, blank=True)
    secret_encrypted = models.TextField(blank=True, editable=False)
    verify_tls = models.BooleanField(_("verify remote certificate"), default=True)
    ca_certificate = models.TextField(_("CA certificate"), blank=True)
    proxy_url = models.CharField(_("proxy URL"), max_length=512, blank=True)
    is_local = models.BooleanField(_("local registry"), default=False)

    health = models.CharField(
        _("health"), max_length=10, choices=Health.choices, default=Health.UNVERIFIED, editable=False
    )
    health_code = models.CharField(max_length=32, blank=True, editable=False)
    health_reason = models.TextField(blank=True, editable=False)
    checked_at = models.DateTimeField(null=True, blank=True, editable=False)
    check_requested_at = models.DateTimeField(null=True, blank=True, editable=False)
    # {"tag_delete": bool, …, "learned_at": ISO time}: fields of registry.connection.Learned, kept by targets.learning.
    capabilities = models.JSONField(default=dict, blank=True, editable=False)

    max_connections = models.PositiveIntegerField(_("connections at most"), null=True, blank=True)
    requests_per_second = models.PositiveIntegerField(_("requests per second"), null=True, blank=True)
    kilobits_per_second = models.PositiveIntegerField(_("bandwidth in kbit/s"), null=True, blank=True)
    # harborsync.lib.timetable; outside its windows kilobits_per_second holds.
    bandwidth_windows = models.CharField(
        _("bandwidth by time"), max_length=MAX_LENGTH, blank=True, default="", validators=[validate_windows]
    )
    time_zone = models.CharField(_("time zone"), max_length=64, default="UTC", validators=[validate_zone])

    notification_token_encrypted = models.TextField(blank=True, editable=False)
    notification_token_hash = models.CharField(max_length=64, unique=True, editable=False)

    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = EndpointQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                fields=["is_local"],
                condition=models.Q(is_local=True),
                name="at_most_one_local_endpoint",
                violation_error_message=_("Another registry is the local one already; there can be only one."),
            ),
            models.CheckConstraint(condition=~models.Q(name=""), name="endpoint_name_is_not_empty"),
            models.CheckConstraint(condition=~models.Q(url=""), name="endpoint_url_is_not_empty"),
            windows_are_written_right("bandwidth_windows", name="endpoint_windows_are_written_right"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def has_secret(self) -> bool:
        """Say whether a secret is stored, without reading it."""
        return bool(self.secret_encrypted)

    @property
    def timetable(self) -> Timetable:
        """Return the bandwidth by time."""
        return Timetable.parse(
            self.bandwidth_windows,
            time_zone=self.time_zone,
            plain_kilobits_per_second=self.kilobits_per_second or 0,
        )

    def set_secret(self, plain: str) -> None:
        """Store the secret encrypted; the empty string clears it. The caller saves."""
        self.secret_encrypted = crypto.encrypt(plain)

    def reveal_secret(self) -> str:
        """Return the secret in clear, for the moment of use. Raises SecretUnreadableError."""
        return crypto.decrypt(self.secret_encrypted)

    def set_notification_token(self, token: str) -> None:
        """Store the token that this registry's notifications must carry. The caller saves."""
        self.notification_token_encrypted = crypto.encrypt(token)
        self.notification_token_hash = hash_token(token)

    def reveal_notification_token(self) -> str:
        """Return the token in clear, for the set-up page. Raises SecretUnreadableError."""
        return crypto.decrypt(self.notification_token_encrypted)


def hash_token(token: str) -> str:
    """Return what a notification token is looked up by: tokens are long and random, so SHA-256 is enough."""
    return hashlib.sha256(token.encode()).hexdigest()


def new_notification_token() -> str:
    """Return a fresh random token, safe in a URL path."""
    return secrets.token_urlsafe(32)
