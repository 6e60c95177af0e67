"""The API calls about registries.

`projects.access` lies above this app, so it cannot be asked here: the views are for administrators by default, and
`harborsync.api.urls` gives those of registries their permission class.
"""
