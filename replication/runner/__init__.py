"""What a worker does when it is called to an execution.

One thread owns the database and never waits for a registry: it claims, records, renews leases and sees stops. The
others own the network and never touch a row.
"""

from replication.runner.drain import Drain

__all__ = ["Drain"]
