"""Projects and their members; the only place that answers "may this user?"."""
