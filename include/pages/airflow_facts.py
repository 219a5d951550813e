"""What only Airflow knows, as pages want it; whoever renders them hands it over."""

from pydantic import BaseModel, ConfigDict

from include.contracts.moments import UtcDatetime

STRICT = ConfigDict(frozen=True, extra="forbid")


class DagFacts(BaseModel):
    """One DAG of a model."""

    model_config = STRICT

    dag_id: str
    is_paused: bool
    last_run_id: str | None = None
    last_state: str | None = None
    """Airflow's own word: `success`, `failed`, `running`, `queued`."""
    last_started_at: UtcDatetime | None = None
    next_at: UtcDatetime | None = None
    """When it runs by itself again; None where it does not."""


class WaitingQuestion(BaseModel):
    """A task that waits for a person."""

    model_config = STRICT

    dag_id: str
    run_id: str
    task_id: str
    subject: str
    asked: tuple[str, ...]
    """Who may answer."""
    since: UtcDatetime


class AirflowFacts(BaseModel):
    """What Airflow knows of the models."""

    model_config = STRICT

    dags: dict[str, tuple[DagFacts, ...]] = {}
    """By model, in the order of their ids."""
    questions: dict[str, tuple[WaitingQuestion, ...]] = {}
    """By model, the oldest first."""
