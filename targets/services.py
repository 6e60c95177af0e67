"""What can be done to endpoints."""

import logging
from collections.abc import Sequence
from urllib.parse import urlsplit

from cryptography import x509
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import ProtectedError
from django.utils import timezone
from django.utils.translation import gettext as _

from harborsync.lib.crypto import SecretUnreadableError
from harborsync.lib.timetable.rows import normalise_windows
from registry import CheckStep, RegistrySettings, check_connection
from registry.kinds import KINDS, find_kind
from registry.reference import normalise_registry_url
from targets.clients import endpoint_settings
from targets.models import Endpoint, new_notification_token

logger = logging.getLogger(__name__)

LOCAL_NAME = "Local"


class EndpointInUse(Exception):
    """The endpoint cannot go: rules or projects refer to it."""

    def __init__(self, endpoint: Endpoint, users: Sequence[str]) -> None:
        self.users = users
        super().__init__(
            _("%(endpoint)s is used by %(users)s. Change or delete those first.")
            % {"endpoint": endpoint.name, "users": ", ".join(users)}
        )


def save_endpoint(endpoint: Endpoint, *, secret: str | None) -> Endpoint:
    """Validate and store an endpoint; the registry is not contacted, and what it was found to offer is forgotten.

    `secret` None leaves the stored one, "" clears it. A changed URL without a new secret clears it too, so that nobody
    can have a password sent to a host of their own. Raises ValidationError by field.
    """
    validate_endpoint(endpoint)
    before = Endpoint.objects.filter(pk=endpoint.pk).first()
    if secret is not None:
        endpoint.set_secret(secret)
    elif before and before.url != endpoint.url:
        endpoint.set_secret("")
    if not endpoint.notification_token_hash:
        endpoint.set_notification_token(new_notification_token())
    endpoint.health = Endpoint.Health.UNVERIFIED
    endpoint.health_code = endpoint.health_reason = ""
    endpoint.capabilities = {}
    endpoint.save()
    return endpoint


def validate_endpoint(endpoint: Endpoint) -> None:
    """Normalise the fields in place and refuse what cannot work. Raises ValidationError by field."""
    errors: dict[str, str] = {}
    endpoint.name = endpoint.name.strip()
    try:
        endpoint.url = normalise_registry_url(endpoint.url)
    except ValueError as error:
        errors["url"] = str(error)
    if find_kind(endpoint.kind) is None:
        errors["kind"] = _("%(kind)s is not a known provider. Known are: %(known)s.") % {
            "kind": endpoint.kind,
            "known": ", ".join(kind.name for kind in KINDS),
        }
    if endpoint.ca_certificate.strip() and not _is_certificate(endpoint.ca_certificate):
        errors["ca_certificate"] = _(
            "This is not a PEM certificate. It starts with -----BEGIN CERTIFICATE----- and ends with "
            "-----END CERTIFICATE-----."
        )
    if endpoint.proxy_url and not _is_web_address(endpoint.proxy_url):
        errors["proxy_url"] = _("A proxy URL looks like http://proxy.example.com:3128.")
    endpoint.time_zone = endpoint.time_zone.strip() or "UTC"
    try:
        endpoint.bandwidth_windows = normalise_windows(endpoint.bandwidth_windows)
    except ValidationError as error:
        errors["bandwidth_windows"] = str(error.message)
    if errors:
        raise ValidationError(errors)
    endpoint.full_clean(exclude=["secret_encrypted", "notification_token_encrypted", "notification_token_hash"])


def _is_web_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:  # http://[
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def _is_certificate(text: str) -> bool:
    try:
        return bool(x509.load_pem_x509_certificates(text.encode()))
    except ValueError:
        return False


def delete_endpoint(endpoint: Endpoint) -> None:
    """Delete an endpoint that nothing uses. Raises EndpointInUse."""
    try:
        with transaction.atomic():
            endpoint.delete()
    except ProtectedError as error:
        # A rule's target row refers to it on the rule's behalf: name the rule.
        users = {str(getattr(row, "rule", row)) for row in error.protected_objects}
        raise EndpointInUse(endpoint, sorted(users)) from error


def try_connection(settings: RegistrySettings) -> list[CheckStep]:
    """Check a registry with values that need not be stored. Takes as long as the registry's time-outs at most."""
    return list(check_connection(settings))


def check_endpoint(endpoint: Endpoint) -> list[CheckStep]:
    """Check a stored endpoint and store what was found, unless the row was changed meanwhile."""
    try:
        steps = try_connection(endpoint_settings(endpoint))
    except SecretUnreadableError as error:
        steps = [CheckStep(name="auth", status="failed", message=str(error), code="secret_unreadable")]
    failed = next((step for step in steps if step.status == "failed"), None)
    found = {
        "health": Endpoint.Health.UNHEALTHY if failed else Endpoint.Health.HEALTHY,
        "health_code": (failed.code if failed else "")[:32],
        "health_reason": failed.message if failed else "",
        "checked_at": timezone.now(),
        "check_requested_at": timezone.now(),
    }
    if endpoint.health != found["health"]:
        logger.info("endpoint.health endpoint=%s health=%s code=%s", endpoint.pk, found["health"], found["health_code"])
    Endpoint.objects.filter(pk=endpoint.pk, updated_at=endpoint.updated_at).update(**found)
    for name, value in found.items():
        setattr(endpoint, name, value)
    return steps


def ensure_local_endpoint(
    *, url: str, username: str = "", password: str = "", notification_token: str = ""
) -> Endpoint:
    """Create or update this installation's own registry from the environment. Raises ValidationError."""
    with transaction.atomic():
        endpoint = Endpoint.objects.local() or Endpoint(name=LOCAL_NAME, is_local=True)
        endpoint.url = url
        endpoint.access_key = username
        if notification_token:
            endpoint.set_notification_token(notification_token)
        return save_endpoint(endpoint, secret=password)
