"""The life cycle of a model, driven through Airflow as an operator would."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from datetime import time as clock

from include.commands.airflow_api import AirflowApi
from include.contracts.errors import PlatformError

APPROVAL_TASK = "approve"
_FEATURES_SECONDS = 300.0
_TRAIN_SECONDS = 600.0
_RELEASE_SECONDS = 300.0
_PARKED_SECONDS = 3.0
"""An answer that outruns the scheduler's notice of the parked process is taken for a crash."""


@dataclass(frozen=True)
class LifeCycle:
    """One model on its way from raw data to production.

    Attributes:
        operator: Airflow as the user who triggers the runs.
        model: the model's name.
        say: prints a line of progress.
    """

    operator: AirflowApi
    model: str
    say: Callable[[str], None]

    def materialize(self, day: date, from_day: date | None = None) -> None:
        """Compute the features of [from_day, day] and bring the online store up to `day`."""
        self._run("features_materialize", day, from_day, _FEATURES_SECONDS)

    def label(self, day: date, from_day: date | None = None) -> None:
        """Compute the labels known by `day`."""
        self._run(f"{self.model}_labels", day, from_day, _FEATURES_SECONDS)

    def train(self, as_of: datetime) -> str:
        """Train, evaluate and register; return the id of the release run this leads to."""
        dag_id = f"{self.model}_train"
        run_id = self.operator.trigger(dag_id, {"as_of": as_of.isoformat()})
        self.operator.wait(dag_id, run_id, self._watch(dag_id), _TRAIN_SECONDS)
        return f"release__{self.operator.result(dag_id, run_id, 'register')}__{run_id}"

    def await_approval(self, release_run: str) -> str:
        """Wait until the release asks its approvers; return the page that asks."""
        dag_id = f"{self.model}_release"
        self.operator.wait_for_task(dag_id, release_run, APPROVAL_TASK, "awaiting_input", _RELEASE_SECONDS)
        return self.operator.link(dag_id, release_run, APPROVAL_TASK)

    def approve(self, release_run: str, approver: AirflowApi) -> None:
        """Say yes as an approver, through Airflow's own API."""
        time.sleep(_PARKED_SECONDS)
        approver.answer(
            f"{self.model}_release", release_run, APPROVAL_TASK, "Approve", "approved on the command line"
        )

    def await_release(self, release_run: str, timeout_seconds: float = _RELEASE_SECONDS) -> None:
        """Wait until the release is through.

        Raises:
            PlatformError: it failed or was rejected.
        """
        dag_id = f"{self.model}_release"
        self.operator.wait(dag_id, release_run, self._watch(dag_id), timeout_seconds)
        states = {item["task_id"]: item["state"] for item in self.operator.tasks(dag_id, release_run)}
        if states["switch_route"] != "success":
            raise PlatformError(
                f"the release was not approved; see {self.operator.link(dag_id, release_run)}"
            )

    def _run(self, dag_id: str, day: date, from_day: date | None, timeout_seconds: float) -> None:
        moment = datetime.combine(day, clock(), UTC)
        conf = {"as_of": moment.isoformat(), "from_day": from_day.isoformat() if from_day else None}
        run_id = self.operator.trigger(dag_id, conf)
        self.operator.wait(dag_id, run_id, self._watch(dag_id), timeout_seconds)

    def _watch(self, dag_id: str) -> Callable[[str, str], None]:
        def watch(task: str, state: str) -> None:
            if state in {"running", "success", "failed", "awaiting_input"}:
                self.say(f"{dag_id}.{task}: {state.replace('_', ' ')}")

        return watch
