"""The floor every app may stand on. Imports Django at most, never an app."""
