"""How a rule is run by hand."""

from typing import Any

from django import forms
from django.conf import settings
from django.utils.translation import gettext_lazy as _


class RunForm(forms.Form):
    """What can be chosen for one run."""

    verify = forms.BooleanField(
        required=False,
        label=_("Verify every tag at the destination"),
        help_text=_(
            "For when somebody else may have changed images there. Otherwise what was seen at the destination within "
            "%(hours)s hours is believed. Costs one more request per tag."
        ),
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        field = self.fields["verify"]
        field.help_text = field.help_text % {"hours": f"{settings.VERIFY_HOURS:g}"}
