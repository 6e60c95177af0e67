"""`manage.py replicate`."""

import pytest
from django.core.management import CommandError, call_command

from replication.models import Execution
from tests.factories import make_rule

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(("options", "verify"), [(["--verify"], True), ([], False)])
def test_a_rule_is_run_and_can_be_told_to_verify(options, verify, capsys):
    rule = make_rule()

    call_command("replicate", rule.name, "--no-wait", *options)

    execution = Execution.objects.get()
    assert (execution.rule, execution.verify) == (rule, verify)
    assert f"Execution {execution.pk} started." in capsys.readouterr().out


def test_rules_are_named_when_none_has_the_name():
    rule = make_rule()
    with pytest.raises(CommandError, match=rule.name):
        call_command("replicate", "other", "--no-wait")
