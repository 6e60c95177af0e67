"""The forms of projects and members. What is right is for the services to say."""

from typing import Any, cast

from django import forms
from django.contrib.auth.models import User
from django.utils.translation import gettext_lazy as _

from projects.models import Membership, Project, validate_project_name
from targets.models import Endpoint


class ProjectForm(forms.Form):
    """A new project."""

    name = forms.CharField(
        label=_("Project Name"),
        max_length=255,
        validators=[validate_project_name],
        help_text=_("Lower case letters, digits and . _ - between them, for example team-a."),
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    public = forms.BooleanField(
        label=_("Public"), required=False, help_text=_("Everybody who is logged in may look at a public project.")
    )
    endpoint = forms.ModelChoiceField(
        label=_("Registry"),
        queryset=Endpoint.objects.none(),
        help_text=_("Where the images of this project are."),
        empty_label=None,
    )
    namespace = forms.CharField(
        label=_("Namespace"),
        required=False,
        max_length=255,
        help_text=_("The path in the registry that the project stands for; empty: the project's name."),
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choice = cast("forms.ModelChoiceField[Endpoint]", self.fields["endpoint"])
        choice.queryset = Endpoint.objects.order_by("-is_local", "name")


class ProjectSettingsForm(forms.ModelForm):  # type: ignore[type-arg]  # no type arguments at run time
    """What of a project can be changed later."""

    class Meta:
        model = Project
        fields = ["public"]
        labels = {"public": _("Public")}
        help_texts = {"public": _("Everybody who is logged in may look at a public project.")}


class MemberForm(forms.Form):
    """A new member."""

    user = forms.CharField(label=_("User name"), max_length=150, widget=forms.TextInput(attrs={"autocomplete": "off"}))
    role = forms.TypedChoiceField(
        label=_("Role"), choices=Membership.Role.choices, coerce=int, initial=Membership.Role.GUEST
    )

    def clean_user(self) -> User:
        """Return the person of that name."""
        user = User.objects.filter(username=self.cleaned_data["user"], is_active=True).first()
        if user is None:
            raise forms.ValidationError(_("There is no active user of this name."))
        return user


class RoleForm(forms.Form):
    """Another role for a member."""

    role = forms.TypedChoiceField(label=_("Role"), choices=Membership.Role.choices, coerce=int)
