"""A page to browse and try the API: Swagger UI from our own static files."""

from django.views.generic import TemplateView


class DocsView(TemplateView):
    """The page. It loads /api/schema, and from that answer learns the CSRF token for what is tried out."""

    template_name = "harborsync/api_docs.html"
