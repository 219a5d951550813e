"""Airflow over REST, as a named user: trigger, watch, answer."""

import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from datetime import time as clock
from typing import Any

import httpx

from include.contracts.errors import PlatformError

_POLL_SECONDS = 0.5
_TRANSIENT = frozenset({502, 503, 504})
"""503 is also SQLite's "database is locked"; the same call goes through a moment later."""
_TROUBLE = _TRANSIENT | {500}
"""What may come before or after the change was kept; 500 is "database is locked", too, in some routes."""
_ATTEMPTS = 10
_TIMEOUT_SECONDS = 30.0
_DONE = frozenset({"success", "failed"})
_PAGE = 100


class AirflowApi:
    """A user's session with Airflow's public API.

    Args:
        url: base URL of the API server.
        user: user name of the simple auth manager.
        password: that user's password.
    """

    def __init__(self, url: str, user: str, password: str) -> None:
        self.url = url
        self._headers: dict[str, str] = {}
        answer = self._ask("POST", "/auth/token", json={"username": user, "password": password})
        if answer.status_code != httpx.codes.CREATED:
            raise PlatformError(
                f"Airflow refused to log {user!r} in ({answer.status_code}); is it one of its users?"
            )
        self._headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    def trigger(self, dag_id: str, conf: dict[str, Any], logical_date: datetime | None = None) -> str:
        """Trigger a run and return its id.

        Raises:
            PlatformError: Airflow refused it; the message is Airflow's own.
        """
        run_id = f"manual__{uuid.uuid4()}"
        body = {
            "dag_run_id": run_id,
            "logical_date": logical_date.isoformat() if logical_date else None,
            "conf": conf,
        }
        path = f"/api/v2/dags/{dag_id}/dagRuns"
        answer = self._repeat("POST", path, _TROUBLE, json=body)
        if answer.status_code == httpx.codes.CONFLICT and self._has_run(dag_id, run_id):
            return run_id  # the id is ours alone: an attempt that seemed lost had made the run
        self._read("POST", path, answer)
        return run_id

    def backfill(self, dag_id: str, first: date, last: date) -> None:
        """Ask for a run of each day from `first` to `last`; days that were run before are run again.

        Raises:
            PlatformError: Airflow refused it, for instance because another backfill of the DAG is under way.
        """
        body = {
            "dag_id": dag_id,
            "from_date": _midnight(first),
            "to_date": _midnight(last),
            "reprocess_behavior": "completed",
            "max_active_runs": 1,
        }
        self._send("POST", "/api/v2/backfills", json=body)

    def backfill_runs(self, dag_id: str, first: date, last: date) -> list[dict[str, Any]]:
        """Return the backfill runs of the days from `first` to `last`, oldest day first."""
        found: list[dict[str, Any]] = []
        while True:
            query = {
                "run_type": "backfill",
                "logical_date_gte": _midnight(first),
                "logical_date_lte": _midnight(last),
                "order_by": "logical_date",
                "limit": _PAGE,
                "offset": len(found),
            }
            answer = self._send("GET", f"/api/v2/dags/{dag_id}/dagRuns", params=query)
            found += answer["dag_runs"]
            if len(found) >= answer["total_entries"]:
                return found

    def wait_for_backfill(
        self, dag_id: str, first: date, last: date, watch: Callable[[str, str], None], timeout_seconds: float
    ) -> None:
        """Wait until the backfill runs of a range have succeeded, calling `watch(day, state)` as each ends.

        Raises:
            PlatformError: runs failed, with their tasks' errors, or time ran out.
        """
        seen: set[str] = set()
        deadline = time.monotonic() + timeout_seconds
        while time.monotonic() < deadline:
            runs = self.backfill_runs(dag_id, first, last)
            for run in runs:
                if run["state"] in _DONE and run["dag_run_id"] not in seen:
                    seen.add(run["dag_run_id"])
                    watch(run["logical_date"][:10], run["state"])
            if len(seen) == len(runs) >= (last - first).days + 1:
                failed = [run["dag_run_id"] for run in runs if run["state"] == "failed"]
                if failed:
                    raise PlatformError("\n".join(self.failure(dag_id, run_id) for run_id in failed))
                return
            time.sleep(_POLL_SECONDS)
        raise PlatformError(
            f"the backfill of {dag_id} did not end within {timeout_seconds:.0f} s; ended: {len(seen)} of "
            f"{(last - first).days + 1} days"
        )

    def ring(self, asset: str) -> None:
        """Send an asset's event: whatever waits for it starts.

        Raises:
            PlatformError: Airflow knows no such asset, or refused it.
        """
        found = self._send("GET", "/api/v2/assets", params={"name_pattern": asset})["assets"]
        known = [item["id"] for item in found if item["name"] == asset]
        if not known:
            raise PlatformError(f"Airflow at {self.url} knows no asset {asset!r}; does nothing wait for it?")
        self._send("POST", "/api/v2/assets/events", json={"asset_id": known[0]})

    def runs(self, dag_id: str) -> list[dict[str, Any]]:
        """Return a DAG's runs, newest first."""
        answer = self._send(
            "GET", f"/api/v2/dags/{dag_id}/dagRuns", params={"order_by": "-run_after", "limit": 100}
        )
        return list(answer["dag_runs"])

    def run(self, dag_id: str, run_id: str) -> dict[str, Any]:
        """Return one run."""
        return self._send("GET", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}")

    def tasks(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """Return a run's task instances."""
        return list(
            self._send("GET", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances")["task_instances"]
        )

    def task_ids(self, dag_id: str) -> set[str]:
        """Return the tasks a DAG has, as it was parsed last."""
        return {str(item["task_id"]) for item in self._send("GET", f"/api/v2/dags/{dag_id}/tasks")["tasks"]}

    def result(self, dag_id: str, run_id: str, task_id: str) -> Any:  # noqa: ANN401 - whatever the task returned
        """Return what a task returned."""
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/return_value"
        return self._send("GET", path, params={"deserialize": True})["value"]

    def failure(self, dag_id: str, run_id: str) -> str:
        """Return the error lines of a run's failed tasks, for people."""
        lines = []
        for item in self.tasks(dag_id, run_id):
            if item["state"] == "failed":
                lines += [
                    f"{dag_id}.{item['task_id']}: {text}" for text in self._errors(dag_id, run_id, item)
                ]
        return "\n".join(lines) or f"{dag_id} failed; see {self.link(dag_id, run_id)}"

    def wait(
        self, dag_id: str, run_id: str, watch: Callable[[str, str], None], timeout_seconds: float
    ) -> None:
        """Wait until a run has succeeded, calling `watch(task, state)` at each change.

        Raises:
            PlatformError: the run failed, with its tasks' errors, or time ran out.
        """
        for tasks in self._observe(dag_id, run_id, timeout_seconds):
            for task, state in tasks:
                watch(task, state)
        if self.run(dag_id, run_id)["state"] != "success":
            raise PlatformError(self.failure(dag_id, run_id))

    def wait_for_task(
        self, dag_id: str, run_id: str, task_id: str, state: str, timeout_seconds: float
    ) -> None:
        """Wait until a task is in a state.

        Raises:
            PlatformError: the run ended before, with its tasks' errors, or time ran out.
        """
        for tasks in self._observe(dag_id, run_id, timeout_seconds):
            if (task_id, state) in tasks:
                return
        raise PlatformError(self.failure(dag_id, run_id))

    def answer(self, dag_id: str, run_id: str, task_id: str, option: str, reason: str | None = None) -> None:
        """Answer a task that waits for a human.

        Raises:
            PlatformError: the user may not answer, or somebody else has.
        """
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/-1/hitlDetails"
        self._send("PATCH", path, json={"chosen_options": [option], "params_input": {"reason": reason}})

    def link(self, dag_id: str, run_id: str, task_id: str | None = None) -> str:
        """Return the page of a run, or of a task that waits for a human."""
        page = f"{self.url}/dags/{dag_id}/runs/{run_id}"
        return f"{page}/tasks/{task_id}/required_actions" if task_id else page

    def _observe(self, dag_id: str, run_id: str, timeout_seconds: float) -> Iterator[list[tuple[str, str]]]:
        seen: dict[str, str] = {}
        deadline = time.monotonic() + timeout_seconds
        while time.monotonic() < deadline:
            done = self.run(dag_id, run_id)["state"] in _DONE
            states = {item["task_id"]: item["state"] or "waiting" for item in self.tasks(dag_id, run_id)}
            yield [(task, state) for task, state in states.items() if seen.get(task) != state]
            if done:
                return
            seen = states
            time.sleep(_POLL_SECONDS)
        raise PlatformError(
            f"{dag_id} did not end within {timeout_seconds:.0f} s; see {self.link(dag_id, run_id)}"
        )

    def _errors(self, dag_id: str, run_id: str, item: dict[str, Any]) -> list[str]:
        task = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{item['task_id']}"
        entries = self._send("GET", f"{task}/logs/{item['try_number']}").get("content", [])
        details = [
            error for entry in entries if isinstance(entry, dict) for error in entry.get("error_detail") or []
        ]
        return [error["exc_value"] for error in details] or ["failed; its log has no error line"]

    def _has_run(self, dag_id: str, run_id: str) -> bool:
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}"
        return self._repeat("GET", path, _TROUBLE).status_code == httpx.codes.OK

    def _send(self, method: str, path: str, **arguments: Any) -> dict[str, Any]:  # noqa: ANN401 - httpx's own
        # What was asked for may have been done: only reading is repeated whatever came back, or nothing.
        again = _TROUBLE if method == "GET" else _TRANSIENT
        return self._read(method, path, self._repeat(method, path, again, **arguments))

    def _repeat(self, method: str, path: str, again: frozenset[int], **arguments: Any) -> httpx.Response:  # noqa: ANN401 - httpx's own
        for attempt in range(_ATTEMPTS):
            last = attempt == _ATTEMPTS - 1
            try:
                answer = self._ask(method, path, **arguments)
            except httpx.TransportError as error:
                if last or again != _TROUBLE:
                    raise PlatformError(f"Airflow: {method} {path}: no answer ({error!r})") from error
            else:
                if answer.status_code not in again or last:
                    break
            time.sleep(_POLL_SECONDS)
        return answer

    def _read(self, method: str, path: str, answer: httpx.Response) -> dict[str, Any]:
        if answer.is_error:
            raise PlatformError(f"Airflow: {method} {path}: {answer.status_code} {answer.text[:500]}")
        return dict(answer.json())

    def _ask(self, method: str, path: str, **arguments: Any) -> httpx.Response:  # noqa: ANN401 - httpx's own
        url = self.url + path
        return httpx.request(
            method, url, headers=self._headers, timeout=_TIMEOUT_SECONDS, trust_env=False, **arguments
        )


def _midnight(day: date) -> str:
    return datetime.combine(day, clock(), UTC).isoformat()
