"""Ask whether the web server answers: `python -m harborsync.supervise.health` (a container's health check).

Standard library only, so that asking every few seconds costs next to nothing.
"""

import os
import sys
from contextlib import closing
from http.client import HTTPConnection, HTTPException

TIMEOUT_SECONDS = 5.0


def web_answers(port: int) -> bool:
    """Say whether the web server on this machine answers without an error of its own.

    gunicorn listens before it has loaded the application, so a connection alone says nothing. A 400 counts as an
    answer: ALLOWED_HOSTS need not name the loopback address.
    """
    with closing(HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)) as connection:
        try:
            connection.request("GET", "/api/v2.0/ping")
            return connection.getresponse().status < 500
        except (OSError, HTTPException):
            return False


if __name__ == "__main__":
    sys.exit(not web_answers(int(os.environ.get("PORT", "8080"))))
