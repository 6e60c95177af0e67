"""`manage.py demo`: HarborSync and two registries on this machine, and an image that travels."""

import signal
import tempfile
import threading
from pathlib import Path
from typing import Any

import environ
import requests
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.urls import reverse

from harborsync.demo.harborsync_api import ApiFailedError
from harborsync.demo.product import Product, ProductFailedError, run_product
from harborsync.demo.registries import choose_port, run_registries
from harborsync.demo.story import Ending, StoryFailedError, tell_story
from registry import RegistryError
from registry.testkit.skopeo import SkopeoError

env = environ.FileAwareEnv()
EXPECTED_ERRORS = (
    ApiFailedError,
    ProductFailedError,
    RegistryError,
    SkopeoError,
    StoryFailedError,
    requests.RequestException,
)


class Command(BaseCommand):
    """Everything lies in a temporary directory that goes with the demonstration."""

    help = "Show a replication from end to end. DEMO_EXIT=1 ends it after success."

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the demonstration; a failure is exit status 1 with its reason."""
        # The end of this process has to run the clean-up, whether by Ctrl-C or by SIGTERM.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        with tempfile.TemporaryDirectory(prefix="harborsync-demo-") as directory:
            try:
                self._run(Path(directory))
            except EXPECTED_ERRORS as error:
                raise CommandError(f"The demonstration failed: {error}") from error
            except KeyboardInterrupt:
                self.stdout.write("\nStopping")

    def _run(self, directory: Path) -> None:
        port = choose_port(settings.PORT)
        source_port = choose_port(5000, port)
        target_port = choose_port(5001, port, source_port)
        product = Product(directory / "harborsync", port, f"http://127.0.0.1:{source_port}")
        self._say("Starting two registries and HarborSync …")
        with (
            run_registries(
                directory, ports=(source_port, target_port), notify_url=product.notify_url, notify_headers={}
            ) as registries,
            run_product(product, manage=settings.BASE_DIR / "manage.py"),
        ):
            self._say(f"Registries running   {registries.source.url} and {registries.target.url}: {registries.kind}")
            self._say(f"HarborSync running   {product.url}")
            ending = tell_story(product, registries, self._say)
            self._show_ending(product, ending)
            if not ending.is_good:
                raise StoryFailedError("the two digests differ")
            if env.str("DEMO_EXIT", default="") != "1":
                self._say("\nTry it: push another image, delete one, stop the target. Ctrl-C ends the demonstration.")
                threading.Event().wait()

    def _show_ending(self, product: Product, ending: Ending) -> None:
        verdict = "equal" if ending.is_good else "DIFFERENT"
        page = reverse("replication:execution", args=[ending.execution_id])
        self._say(f"Digest at the source {ending.source_digest}")
        self._say(f"Digest at the target {ending.target_digest}  ({verdict})")
        self._say(f"The job's page       {product.url}{page}")
        self._say(f"Login                {product.username} / {product.password}")

    def _say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()
