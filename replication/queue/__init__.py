"""How work is found and held: the doorbell that calls workers, the claims they make, and the changes of state."""
