"""Chinese is complete, and placeholders survived the translation."""

import re

import polib
import pytest
from django.conf import settings
from django.core.management import call_command
from django.utils.translation import gettext, override

CATALOGUE = settings.BASE_DIR / "locale/zh_Hans/LC_MESSAGES/django.po"
PLACEHOLDER = re.compile(r"%\(\w+\)[sd]")


def test_nothing_is_untranslated_or_fuzzy():
    catalogue = polib.pofile(str(CATALOGUE))

    assert len(catalogue) > 300
    assert [entry.msgid for entry in catalogue.untranslated_entries()] == []
    assert [entry.msgid for entry in catalogue.fuzzy_entries()] == []


def test_placeholders_are_the_same_in_both_languages():
    for entry in polib.pofile(str(CATALOGUE)):
        translated = entry.msgstr or entry.msgstr_plural[0]
        assert set(PLACEHOLDER.findall(translated)) == set(PLACEHOLDER.findall(entry.msgid)), entry.msgid


def test_every_text_of_templates_and_code_is_in_the_catalogue():
    known = {entry.msgid for entry in polib.pofile(str(CATALOGUE))}
    found = set()
    for path in (settings.BASE_DIR / "templates").rglob("*.html"):
        found |= set(re.findall(r"""{% translate (?:"([^"]+)"|'[^']+')""", path.read_text())) - {""}
    for app in ("targets", "projects", "replication", "harborsync"):
        for path in (settings.BASE_DIR / app).rglob("*.py"):
            found |= set(re.findall(r"\b_\(\s*\"([^\"]+)\"\s*\)", path.read_text()))

    assert found - known == set()


@pytest.mark.parametrize(
    ("english", "chinese"),
    [
        ("Registries", "仓库管理"),
        ("Replications", "复制管理"),
        ("New Endpoint", "新建目标"),
        ("Test Connection", "测试连接"),
    ],
)
def test_chinese_is_harbors_own(english, chinese):
    call_command("compilemessages", stdout=None)
    with override("zh-hans"):
        assert gettext(english) == chinese
