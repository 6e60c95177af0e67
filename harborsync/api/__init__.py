"""The REST API put together: who is asking, what all answers carry, the calls about the system, and the routes."""
