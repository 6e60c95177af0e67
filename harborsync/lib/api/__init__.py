"""What the API modules of all apps share: Harbor's manner of errors, lists, queries and empty answers.

It stands on Django and Django REST framework only and knows no app; `harborsync.api` puts the apps' views together.
"""
