"""The kinds of registries, under the names of Harbor's adapters.

Names and the patterns for endpoint and credentials: Harbor's ``/replication/adapterinfos``. Only what the generic
protocol needs is here; vendors' own APIs are not spoken.
"""

from dataclasses import dataclass
from typing import Literal

PathRule = Literal["any", "at-least-two", "exactly-two"]
EndpointPattern = Literal["standard", "fixed", "list"]


@dataclass(frozen=True)
class RegistryKind:
    """A kind of registry: what to offer in a form, and what the plain protocol does there."""

    name: str
    title: str
    default_url: str = ""
    has_catalogue: bool = True
    counts_reading: bool = False
    """Reading a manifest counts against an allowance of pulls, asking for its digest does not."""
    path_rule: PathRule = "any"
    """How many parts a repository's name has: Harbor wants a project, Docker Hub exactly two."""
    endpoint_pattern: EndpointPattern = "standard"
    endpoints: tuple[tuple[str, str], ...] = ()
    """``(label, url)`` of the addresses to choose from."""
    fixed_username: str = ""
    has_secret_file: bool = False
    """The secret is a JSON key, to be pasted as a file."""

    def accepts_path(self, repository: str) -> bool:
        """Answer whether the registry can have a repository of this name."""
        parts = repository.count("/") + 1
        if self.path_rule == "exactly-two":
            return parts == 2
        return parts >= 2 if self.path_rule == "at-least-two" else True


_GOOGLE_HOSTS = ("gcr.io", "us.gcr.io", "eu.gcr.io", "asia.gcr.io")
_AWS_REGIONS = (
    "ap-northeast-1", "ap-northeast-2", "ap-south-1", "ap-southeast-1", "ap-southeast-2", "ca-central-1",
    "eu-central-1", "eu-north-1", "eu-west-1", "eu-west-2", "eu-west-3", "sa-east-1",
    "us-east-1", "us-east-2", "us-west-1", "us-west-2",
)  # fmt: skip

KINDS: tuple[RegistryKind, ...] = (
    RegistryKind("harbor", "Harbor", path_rule="at-least-two"),
    RegistryKind("docker-registry", "Docker Registry"),
    RegistryKind(
        "docker-hub",
        "Docker Hub",
        default_url="https://hub.docker.com",
        has_catalogue=False,
        counts_reading=True,
        path_rule="exactly-two",
        endpoint_pattern="fixed",
        endpoints=(("hub.docker.com", "https://hub.docker.com"),),
    ),
    RegistryKind(
        "github-ghcr",
        "GitHub Container Registry",
        default_url="https://ghcr.io",
        has_catalogue=False,
        path_rule="at-least-two",
        endpoint_pattern="fixed",
        endpoints=(("ghcr.io", "https://ghcr.io"),),
    ),
    RegistryKind("quay", "Quay", default_url="https://quay.io", path_rule="at-least-two"),
    RegistryKind("gitlab", "GitLab", path_rule="at-least-two"),
    RegistryKind("jfrog-artifactory", "JFrog Artifactory"),
    RegistryKind("dtr", "Docker Trusted Registry", path_rule="at-least-two"),
    RegistryKind(
        "aws-ecr",
        "AWS ECR",
        endpoint_pattern="list",
        endpoints=tuple((region, f"https://api.ecr.{region}.amazonaws.com") for region in _AWS_REGIONS),
    ),
    RegistryKind("azure-acr", "Azure ACR"),
    RegistryKind(
        "google-gcr",
        "Google GCR",
        endpoint_pattern="list",
        endpoints=tuple((host, f"https://{host}") for host in _GOOGLE_HOSTS),
        fixed_username="_json_key",
        has_secret_file=True,
    ),
    RegistryKind("ali-acr", "Alibaba Cloud ACR", path_rule="at-least-two"),
    RegistryKind("huawei-SWR", "Huawei SWR", path_rule="at-least-two"),
    RegistryKind("tencent-tcr", "Tencent TCR", path_rule="at-least-two"),
    RegistryKind("volcengine-cr", "Volcengine CR", path_rule="at-least-two"),
)

_BY_NAME = {kind.name: kind for kind in KINDS}


def find_kind(name: str) -> RegistryKind | None:
    """Return the kind of that name, None for one we do not know (it is then treated as a plain registry)."""
    return _BY_NAME.get(name)
