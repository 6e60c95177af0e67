"""All parts of the product under one parent: started in order, restarted when they die, stopped together.

Own code instead of a library: supervisord wants a configuration file, gives its children's lines no names, and leaves
them behind when it is killed.
"""

from harborsync.supervise.parts import Part
from harborsync.supervise.supervisor import PartFailedError, Supervisor

__all__ = ["Part", "PartFailedError", "Supervisor"]
