"""Endpoints: the registries we can talk to, their credentials, health and what was learned of them."""
