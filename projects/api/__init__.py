"""The API calls about projects and their members."""
