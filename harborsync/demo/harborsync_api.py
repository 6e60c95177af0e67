"""HarborSync as any script sees it: Harbor's REST API over HTTP, Basic authentication."""

from dataclasses import dataclass
from typing import Any

import requests

TIMEOUT_SECONDS = 15


class ApiFailedError(RuntimeError):
    """HarborSync refused a request; the text is its own."""


@dataclass(frozen=True)
class HarborSyncApi:
    """A client for what the demonstration needs."""

    url: str
    username: str
    password: str

    def is_up(self) -> bool:
        """Say whether the API answers."""
        try:
            return requests.get(f"{self.url}/api/v2.0/ping", timeout=TIMEOUT_SECONDS).ok
        except requests.RequestException:
            return False

    def create_registry(self, *, name: str, url: str) -> int:
        """Create a target and give its id."""
        return self._create("registries", {"name": name, "type": "docker-registry", "url": url, "insecure": False})

    def create_project(self, name: str) -> int:
        """Create a project and give its id."""
        return self._create("projects", {"project_name": name, "metadata": {"public": "false"}})

    def create_rule(self, *, name: str, project: str, target_id: int, megabits_per_second: int) -> int:
        """Create a rule that copies what is pushed to a project, and deletes what is deleted in it; give its id."""
        return self._create(
            "replication/policies",
            {
                "name": name,
                "src_registry": None,
                "dest_registry": {"id": target_id},
                "dest_namespace": "",
                "dest_namespace_replace_count": -1,
                "trigger": {"type": "event_based", "trigger_settings": {}},
                "filters": [{"type": "name", "value": f"{project}/**"}],
                "replicate_deletion": True,
                "deletion": True,
                "override": True,
                "enabled": True,
                "speed": megabits_per_second * 1000,  # Harbor counts in kbit/s
            },
        )

    def executions(self, rule_id: int) -> list[dict[str, Any]]:
        """List a rule's executions, the newest first."""
        executions: list[dict[str, Any]] = self._get("replication/executions", policy_id=rule_id).json()
        return executions

    def execution(self, execution_id: int) -> dict[str, Any]:
        """Give an execution as it is now."""
        execution: dict[str, Any] = self._get(f"replication/executions/{execution_id}").json()
        return execution

    def logs(self, execution_id: int) -> str:
        """Give the logs of all tasks of an execution."""
        tasks = self._get(f"replication/executions/{execution_id}/tasks").json()
        path = f"replication/executions/{execution_id}/tasks/{{}}/log"
        return "\n".join(self._get(path.format(task["id"])).text for task in tasks)

    def _get(self, path: str, **parameters: Any) -> requests.Response:
        return self._request("GET", path, params=parameters)

    def _create(self, path: str, body: dict[str, Any]) -> int:
        location = self._request("POST", path, json=body).headers["Location"]
        return int(location.rpartition("/")[2])

    def _request(self, method: str, path: str, **options: Any) -> requests.Response:
        url = f"{self.url}/api/v2.0/{path}"
        credentials = (self.username, self.password)
        answer = requests.request(method, url, auth=credentials, timeout=TIMEOUT_SECONDS, **options)
        if not answer.ok:
            raise ApiFailedError(f"{method} /api/v2.0/{path}: {answer.status_code} {answer.text[:500].strip()}")
        return answer
