"""Settings: read once from the environment, frozen, the same for every process.

Nothing here touches the disk: folders are made by those who write to them.
"""

import os
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

REPOSITORY_ROOT = Path(__file__).resolve().parents[2]
LOOPBACK = "127.0.0.1"
Endpoint = Annotated[str, Field(pattern=r"^[^\s/]+:[0-9]{1,5}$")]
"""host:port."""
_BUCKET = r"^(s3://[a-z0-9][a-z0-9.-]+(/[^/]+)*)?$"
_POSTGRESQL = r"^(postgresql(\+psycopg)?://.+)?$"
_ALL_INTERFACES = frozenset({"0.0.0.0", "::"})  # noqa: S104 - recognised, never a default


class LogDurability(StrEnum):
    """What an acknowledged row of the prediction log survives."""

    OS = "os"
    """A killed process."""
    DISK = "disk"
    """Loss of power, too."""


class TritonBackend(StrEnum):
    """What runs a version's graph in Triton."""

    PYTHON = "python"
    """The generic model of the Python backend, beside each version."""
    ONNXRUNTIME = "onnxruntime"
    """Triton's own backend, which the vendor's container has: the graph alone."""


class AirflowAuth(StrEnum):
    """Who says which users Airflow has."""

    SIMPLE = "simple"
    """A file of this machine, made at the first start."""
    FAB = "fab"
    """Airflow's database, or what FAB asks: LDAP, OAuth, OpenID."""


class LogPolicy(StrEnum):
    """What happens where the prediction log cannot be written."""

    STRICT = "strict"
    """Nothing is answered: 503."""
    LENIENT = "lenient"
    """Answers go out, and the rows that are lost are counted."""


class EngineName(StrEnum):
    """What computes features, training sets, labels and drift."""

    DUCKDB = "duckdb"
    """This machine, in the process that asks."""
    SPARK = "spark"
    """A cluster."""


class Settings(BaseSettings):
    """Every setting is the environment variable `NINETY_<NAME>`; docs/settings.md lists them."""

    model_config = SettingsConfigDict(env_prefix="NINETY_", frozen=True, extra="forbid")

    home: Path = REPOSITORY_ROOT / "var"
    """Folder of everything the platform writes: state, logs, secrets."""

    host: str = LOOPBACK
    """Address Airflow and the gateway bind; MLflow and Triton, which ask for no key, stay on loopback."""

    airflow_url_inside: str = Field(default="", pattern=r"^(https?://[^\s/]+)?$")
    """Base URL by which the platform's processes reach Airflow; empty means `host` and `airflow_port`."""

    airflow_port: int = Field(default=8080, ge=1, le=65535)
    """Port of Airflow's API server and UI."""

    mlflow_port: int = Field(default=5000, ge=1, le=65535)
    """Port of MLflow's tracking server and UI."""

    gateway_port: int = Field(default=8000, ge=1, le=65535)
    """Port of the prediction gateway."""

    triton_grpc_port: int = Field(default=8001, ge=1, le=65535)
    """Port of Triton's gRPC endpoint; its HTTP endpoint is off."""

    triton_metrics_port: int = Field(default=8002, ge=1, le=65535)
    """Port of Triton's Prometheus metrics."""

    triton_endpoints: tuple[Endpoint, ...] = ()
    """host:port of every Triton that serves, as a JSON list; empty means the platform's own.

    All of them read its model repository.
    """

    candidate_triton: Endpoint | Literal[""] = ""
    """host:port of the Triton that candidates are measured in; empty means the platform's own."""

    triton_memory_mb: int = Field(default=0, ge=0)
    """Megabytes that all versions in a Triton may take together, by their contracts' budgets; 0: no bound."""

    triton_backend: TritonBackend = TritonBackend.PYTHON
    """What runs models in Triton: `python`, or `onnxruntime`, which the vendor's container has."""

    ledger_url: str = ""
    """SQLAlchemy URL of the ledger; empty means SQLite under `home`."""

    mlflow_uri: str = ""
    """MLflow tracking URI to use instead of the platform's own server, such as `sqlite:///runs.sqlite3`."""

    model_folders: tuple[Path, ...] = (REPOSITORY_ROOT / "include" / "models",)
    """Folders searched for model folders, as a JSON list; a test adds its own."""

    sources: dict[str, str] = Field(default_factory=dict)
    """Replaces a data source's URI, as a JSON object `{"source": "uri"}`."""

    reference_datasets: dict[str, str] = Field(default_factory=dict)
    """Where reference datasets named in contracts lie, by prefix of their URI, as a JSON object.

    `{"s3://ml-artifacts/": "/data/ml-artifacts/"}`; what maps to s3:// is read there.
    """

    pipelines: dict[str, str] = Field(default_factory=dict)
    """DAGs that teams' own pipeline names stand for, as a JSON object; `{model}` is the model's name."""

    online_store_url: str = ""
    """Online feature store, `redis://host:port/database`; empty means SQLite under `home`."""

    coordination_url: str = ""
    """What several gateways share, `redis://host:port/database`; empty means there is one gateway."""

    operator_url: str = Field(default="", pattern=r"^(https?://.+)?$")
    """Base URL by which people reach Airflow, for links in alerts; empty means host and port."""

    engine: EngineName = EngineName.DUCKDB
    """What computes features, training sets, labels and drift: `duckdb`, this machine, or `spark`, many."""

    spark_master: str = Field(default="local[*]", pattern=r"^(local(\[.+\])?|spark://.+|yarn|k8s://.+)$")
    """Spark's master, `spark://host:7077`; all else is Spark's own configuration, in `SPARK_CONF_DIR`."""

    commit: str = ""
    """Commit recorded with what is built; empty means: ask git."""

    replay: bool = False
    """Replaying history: `X-Event-Time` is honoured and no DAG has a schedule."""

    parallelism: int = Field(default=4, ge=1)
    """Airflow tasks that run at once."""

    approval_timeout_hours: float = Field(default=72.0, gt=0)
    """Hours a release waits for its approver; then the answer is no."""

    gateway_shared_port: bool = False
    """Whether a second gateway may listen on the same port, to take over from this one without a gap."""

    drain_seconds: float = Field(default=1.0, ge=0)
    """How long a gateway that is told to end goes on answering, so that callers learn of it."""

    body_limit_bytes: int = Field(default=1_048_576, ge=1024)
    """Largest request body the gateway reads."""

    body_timeout_seconds: float = Field(default=10.0, gt=0)
    """Longest the gateway waits for the rest of a request body."""

    request_window: int = Field(default=65_536, ge=1)
    """Entities whose answers the gateway remembers by `request_id`; a repeat gets the same answer."""

    request_window_seconds: float = Field(default=600.0, gt=0)
    """Longest the gateway remembers answers by `request_id`."""

    max_batch: int = Field(default=256, ge=1)
    """Most entities the gateway sends to Triton in one call."""

    batches_in_flight: int = Field(default=2, ge=1)
    """Batches of a model the gateway has under way at once; what queues meanwhile becomes the next one."""

    deadline_seconds: float = Field(default=2.0, gt=0)
    """Longest the gateway waits for Triton, or for features in Redis, before it falls back."""

    queue_entities: int = Field(default=2048, ge=1)
    """Most entities that wait for one model; what would be more is refused with 503."""

    queue_wait_seconds: float = Field(default=1.0, gt=0)
    """Longest the first of a queue may have waited while others are let in; half of the deadline at most."""

    online_chunk_rows: int = Field(default=20_000, ge=1)
    """Entities brought to the online store at once; memory is bounded by them."""

    quarantine_days: int = Field(default=30, ge=1)
    """Days a batch stays in quarantine; the newest of a source or view stays until another one comes."""

    scoring_chunk_rows: int = Field(default=20_000, ge=1)
    """Entities a batch scores and logs at once; memory is bounded by them."""

    segment_bytes: int = Field(default=64 * 2**20, ge=4096)
    """Size at which the prediction log starts a new segment."""

    log_days: int = Field(default=0, ge=0)
    """Days that predictions and outcomes are kept; older ones are deleted. 0: for ever."""

    report_days: int = Field(default=90, ge=0)
    """Days that pages of monitors' runs are kept, megabytes each; their figures stay. 0: for ever."""

    metrics_token_file: str = ""
    """File with the token that whoever scrapes Airflow's metrics must show; empty: none is asked for."""

    shadow_queue: int = Field(default=1_024, ge=1)
    """Mirrored requests of a model that wait for its shadow; further ones are dropped."""

    otlp_endpoint: str = Field(default="", pattern=r"^(https?://.+)?$")
    """Base URL of an OpenTelemetry collector (OTLP over HTTP) the gateway sends spans to; empty: none."""

    trace_share: float = Field(default=0.01, ge=0, le=1)
    """Share of the requests without a `traceparent` that start a trace, where spans are sent."""

    log_durability: LogDurability = LogDurability.OS
    """What an answered prediction's log row survives: `os` a killed process, `disk` loss of power, too."""

    log_policy: LogPolicy = LogPolicy.STRICT
    """Where the log cannot be written: `strict` answers 503, `lenient` answers and counts the lost rows."""

    compacted_url: str = Field(default="", pattern=_BUCKET)
    """Where compacted predictions lie, `s3://bucket/prefix`; empty means under `home`.

    Endpoint and credentials are those of boto3's own environment (`AWS_ENDPOINT_URL_S3` and the like).
    """

    artefacts_url: str = Field(default="", pattern=_BUCKET)
    """Where packages, training sets and reports lie, `s3://bucket/prefix`; empty means under `home`.

    MLflow's own server keeps the artefacts of runs under `mlflow/` there.
    """

    airflow_database_url: str = Field(default="", pattern=_POSTGRESQL)
    """SQLAlchemy URL of Airflow's database, `postgresql+psycopg://…`; empty means SQLite under `home`."""

    airflow_auth: AirflowAuth = AirflowAuth.SIMPLE
    """Which users Airflow has: `simple`, those of a file, or `fab`, those of its database or a directory."""

    celery_broker_url: str = Field(default="", pattern=r"^(rediss?://.+)?$")
    """Queue that Celery's workers take tasks from, `redis://host:port/database`; empty: no Celery."""

    mlflow_database_url: str = Field(default="", pattern=_POSTGRESQL)
    """SQLAlchemy URL of the database of the platform's MLflow; empty means SQLite under `home`."""

    @model_validator(mode="after")
    def _queue_needs_a_server(self) -> "Settings":
        if self.celery_broker_url and not self.airflow_database_url:
            raise ValueError("celery_broker_url needs airflow_database_url: workers report through a server")
        return self

    @model_validator(mode="after")
    def _no_unknown_variable(self) -> "Settings":
        known = {f"NINETY_{name.upper()}" for name in type(self).model_fields}
        unknown = sorted(name for name in os.environ if name.startswith("NINETY_") and name not in known)
        if unknown:
            raise ValueError(f"no such setting: {', '.join(unknown)}; docs/settings.md lists those there are")
        return self

    @property
    def ledger_uri(self) -> str:
        """SQLAlchemy URL of the ledger."""
        return self.ledger_url or f"sqlite:///{self.home / 'ledger' / 'ledger.sqlite3'}"

    @property
    def secrets_folder(self) -> Path:
        """Passwords and keys of this machine; mode 700, never committed."""
        return self.home / "secrets"

    @property
    def airflow_home(self) -> Path:
        """AIRFLOW_HOME."""
        return self.home / "airflow"

    @property
    def mlflow_folder(self) -> Path:
        """MLflow's database and artefacts."""
        return self.home / "mlflow"

    @property
    def mlflow_database_uri(self) -> str:
        """SQLAlchemy URL of the database of the platform's MLflow."""
        return self.mlflow_database_url or f"sqlite:///{self.mlflow_folder / 'mlflow.sqlite3'}"

    @property
    def mlflow_artefacts(self) -> str:
        """Where the platform's MLflow keeps the artefacts of runs."""
        return f"{self.artefacts_url}/mlflow" if self.artefacts_url else str(self.mlflow_folder / "artefacts")

    @property
    def artefacts_folder(self) -> Path:
        """Root of the artefact store: packages, training snapshots, reports."""
        return self.home / "artefacts"

    @property
    def artefact_cache_folder(self) -> Path:
        """What was fetched of an artefact store in a bucket; may be deleted at any time."""
        return self.home / "cache" / "artefacts"

    @property
    def features_folder(self) -> Path:
        """Offline Parquet, Feast registry, online store."""
        return self.home / "features"

    @property
    def offline_folder(self) -> Path:
        """Rows of the feature views as they were each day, one folder a view."""
        return self.features_folder / "offline"

    @property
    def feature_registry(self) -> Path:
        """Feast's registry: which views, entities and services there are."""
        return self.features_folder / "registry.db"

    @property
    def online_store(self) -> Path:
        """Feast's online store: each entity's latest features."""
        return self.features_folder / "online.sqlite3"

    @property
    def quarantine_folder(self) -> Path:
        """Rows set aside by validation, one folder a source or view."""
        return self.home / "quarantine"

    @property
    def labels_folder(self) -> Path:
        """The label store, one folder a model."""
        return self.home / "labels"

    @property
    def labelled_folder(self) -> Path:
        """Predictions whose truth is in, one folder a model."""
        return self.home / "labelled"

    @property
    def predictions_folder(self) -> Path:
        """Segments of the prediction log."""
        return self.home / "predictions"

    @property
    def outcomes_folder(self) -> Path:
        """Segments of the outcome log."""
        return self.home / "outcomes"

    @property
    def scores_folder(self) -> Path:
        """Scores of batches, one folder a model and moment."""
        return self.home / "scores"

    @property
    def skew_folder(self) -> Path:
        """Reports of the skew audit, one a day."""
        return self.home / "skew"

    @property
    def triton_repository(self) -> Path:
        """Triton's model repository."""
        return self.home / "triton" / "models"

    @property
    def gateway_folder(self) -> Path:
        """The gateway's own state: the last route snapshot."""
        return self.home / "gateway"

    @property
    def logs_folder(self) -> Path:
        """Logs of the processes and of Airflow's tasks."""
        return self.home / "logs"

    @property
    def airflow_url(self) -> str:
        """Base URL of Airflow."""
        return self.airflow_url_inside or self.airflow_page_url

    @property
    def airflow_page_url(self) -> str:
        """Base URL of Airflow for people on this machine."""
        return f"http://{self._reachable_host}:{self.airflow_port}"

    @property
    def mlflow_url(self) -> str:
        """Base URL of MLflow."""
        return f"http://{LOOPBACK}:{self.mlflow_port}"

    @property
    def tracking_uri(self) -> str:
        """Where runs and versions are tracked: `mlflow_uri`, else the platform's own server."""
        return self.mlflow_uri or self.mlflow_url

    @property
    def gateway_url(self) -> str:
        """Base URL of the gateway."""
        return f"http://{self._reachable_host}:{self.gateway_port}"

    @property
    def triton_endpoint(self) -> str:
        """host:port of the Triton where candidates are measured: the platform's own unless told."""
        return self.candidate_triton or f"{LOOPBACK}:{self.triton_grpc_port}"

    @property
    def serving_endpoints(self) -> tuple[str, ...]:
        """host:port of every Triton that versions are loaded into and answered by."""
        return self.triton_endpoints or (self.triton_endpoint,)

    @property
    def _reachable_host(self) -> str:
        """Address by which this machine reaches what binds `host`."""
        return LOOPBACK if self.host in _ALL_INTERFACES else self.host


@lru_cache(maxsize=1)
def settings() -> Settings:
    """Return this process's settings.

    Raises:
        pydantic.ValidationError: a variable has a value of the wrong type or out of range.
    """
    return Settings()
