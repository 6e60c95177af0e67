"""The test kit: an OCI registry in memory that can be told to misbehave. Pure Python, no framework.

from registry.testkit import Fault, MemoryRegistry, known_faults

with MemoryRegistry(auth="bearer", username="u", password="p") as registry:
    digest = registry.add_image("library/nginx", "1.27", layer_sizes=[5_000_000])
    registry.faults.add(known_faults.truncated_body(1_000_000))
"""

from registry.testkit import known_faults
from registry.testkit.content import Content, DiscardedContent, GeneratedContent, StoredContent, digest_of
from registry.testkit.faults import Fault
from registry.testkit.images import BuiltManifest, build_artifact, build_attestation, build_image, build_index
from registry.testkit.memory import MemoryRegistry
from registry.testkit.messages import Request, Response
from registry.testkit.store import StoredManifest

__all__ = [
    "BuiltManifest",
    "Content",
    "DiscardedContent",
    "Fault",
    "GeneratedContent",
    "MemoryRegistry",
    "Request",
    "Response",
    "StoredContent",
    "StoredManifest",
    "build_artifact",
    "build_attestation",
    "build_image",
    "build_index",
    "digest_of",
    "known_faults",
]
