"""`POST /service/notifications/<endpoint token>/`: store, answer, and leave the rest to the workers."""

import json

from django.conf import settings
from django.http import HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from replication.services import EnvelopeError, accept_notification
from targets.models import Endpoint


@csrf_exempt  # a registry has no session; the token in the path is what it is known by
@require_POST
def notifications(request: HttpRequest, token: str) -> JsonResponse:
    """Take a Docker distribution envelope; 202 once its events are stored."""
    endpoint = Endpoint.objects.with_notification_token(token)
    if endpoint is None:
        return _refuse(401, "UNAUTHORIZED", "No registry has this notification token: copy the URL from its page.")
    if int(request.headers.get("Content-Length") or 0) > settings.NOTIFICATION_MAX_BYTES:
        limit = settings.NOTIFICATION_MAX_BYTES
        return _refuse(413, "REQUEST_ENTITY_TOO_LARGE", f"An envelope has at most {limit} bytes.")
    try:
        acceptance = accept_notification(endpoint, json.loads(request.body))
    except EnvelopeError as error:
        return _refuse(400, "BAD_REQUEST", str(error))
    except (ValueError, RecursionError) as error:
        return _refuse(400, "BAD_REQUEST", f"The body is not JSON: {error}.")
    return JsonResponse({"stored": acceptance.stored, "ignored": acceptance.ignored}, status=202)


def _refuse(status: int, code: str, message: str) -> JsonResponse:
    return JsonResponse({"errors": [{"code": code, "message": message}]}, status=status)
