"""The commands that prepare an installation."""

import gc

import environ
import polib
import pytest
from django.contrib.auth import authenticate
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from harborsync.management.commands import worker
from targets.models import Endpoint


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch):
    # What a NAME_FILE held is remembered for the life of the process.
    monkeypatch.setattr(environ.FileAwareEnv.ENVIRON, "files_cache", {})
    for name in ("ADMIN_USERNAME", "ADMIN_PASSWORD"):
        monkeypatch.delenv(f"HARBORSYNC_{name}", raising=False)
    for name in ("URL", "USERNAME", "PASSWORD", "NOTIFICATION_TOKEN"):
        monkeypatch.delenv(f"HARBORSYNC_LOCAL_REGISTRY_{name}", raising=False)


@pytest.mark.django_db
def test_the_first_administrator_has_the_password_given(monkeypatch, capsys):
    monkeypatch.setenv("HARBORSYNC_ADMIN_USERNAME", "root")
    monkeypatch.setenv("HARBORSYNC_ADMIN_PASSWORD", "Given-Password-1")
    call_command("prepare")
    assert authenticate(username="root", password="Given-Password-1").is_superuser
    assert "Given-Password-1" not in capsys.readouterr().out


@pytest.mark.django_db
def test_a_password_can_come_from_a_file(monkeypatch, tmp_path):
    (tmp_path / "password").write_text("From-A-File-1")
    monkeypatch.setenv("HARBORSYNC_ADMIN_PASSWORD_FILE", str(tmp_path / "password"))
    call_command("prepare")
    assert authenticate(username="admin", password="From-A-File-1")


@pytest.mark.django_db
def test_a_generated_password_is_printed_once(capsys):
    call_command("prepare")
    password = capsys.readouterr().out.split("once: ")[1].split()[0]
    assert authenticate(username="admin", password=password)
    call_command("prepare")
    assert capsys.readouterr().out == ""
    assert User.objects.count() == 1


@pytest.mark.django_db
def test_an_administrator_who_exists_keeps_the_password(monkeypatch):
    User.objects.create_superuser("somebody", password="Kept-Password-1")
    monkeypatch.setenv("HARBORSYNC_ADMIN_PASSWORD", "Other-Password-1")
    call_command("prepare")
    assert authenticate(username="somebody", password="Kept-Password-1")
    assert User.objects.count() == 1


@pytest.mark.django_db
def test_the_local_registry_follows_the_environment(monkeypatch):
    monkeypatch.setenv("HARBORSYNC_LOCAL_REGISTRY_URL", "http://127.0.0.1:5000")
    call_command("prepare")
    monkeypatch.setenv("HARBORSYNC_LOCAL_REGISTRY_URL", "http://127.0.0.1:5555/")
    monkeypatch.setenv("HARBORSYNC_LOCAL_REGISTRY_USERNAME", "robot")
    monkeypatch.setenv("HARBORSYNC_LOCAL_REGISTRY_PASSWORD", "secret")
    call_command("prepare")
    local = Endpoint.objects.get(is_local=True)
    assert (local.url, local.access_key, local.reveal_secret()) == ("http://127.0.0.1:5555", "robot", "secret")


@pytest.mark.django_db
def test_a_local_registry_that_is_none_is_refused_with_its_reason(monkeypatch):
    monkeypatch.setenv("HARBORSYNC_LOCAL_REGISTRY_URL", "ftp://registry")
    with pytest.raises(CommandError, match="HARBORSYNC_LOCAL_REGISTRY_URL=ftp://registry"):
        call_command("prepare")


def test_translations_are_compiled_without_gettext(settings, tmp_path):
    directory = tmp_path / "xx" / "LC_MESSAGES"
    directory.mkdir(parents=True)
    catalogue = polib.POFile()
    catalogue.append(polib.POEntry(msgid="Project", msgstr="Projekt"))
    catalogue.save(str(directory / "django.po"))
    settings.LOCALE_PATHS = [tmp_path]
    call_command("compilemessages")
    assert polib.mofile(str(directory / "django.mo"))[0].msgstr == "Projekt"


def test_a_worker_process_leaves_what_start_up_made_out_of_garbage_collection():
    thresholds = gc.get_threshold()
    try:
        worker.collect_garbage_calmly()
        assert gc.get_freeze_count() > 0
        assert gc.get_threshold() == (worker.YOUNG_OBJECTS, *thresholds[1:])
    finally:
        gc.unfreeze()
        gc.set_threshold(*thresholds)
