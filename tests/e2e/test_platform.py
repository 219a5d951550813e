"""The loop on real processes: every server, every stage, the answers people get."""

import json
import os
import re
import signal
import subprocess
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import httpx
import pyarrow.parquet
import pytest

from include.adapters.artefacts import ArtefactStore
from include.adapters.ledger.ledger import Ledger
from include.adapters.packages import load_report
from include.adapters.prediction_log import find, read
from include.commands.airflow_api import AirflowApi
from include.commands.environment import settings_environment
from include.commands.life_cycle import LifeCycle
from include.commands.platform import Platform, Replay
from include.commands.trace import trace
from include.commands.traffic import entities_of, replay
from include.commands.unix_processes import read_processes, send
from include.config.settings import REPOSITORY_ROOT
from include.contracts.canonical import canonical_json
from include.contracts.errors import PlatformError
from include.contracts.releases import Decision, ReleaseStage
from include.features.catalogue import freshness
from include.features.materialize import compute_features
from include.features.views import offline_folder, used_views
from include.pages.provenance import Provenances

pytestmark = pytest.mark.e2e
NOON = datetime.combine(Replay().as_of, datetime.min.time(), UTC) + timedelta(hours=12)
WAIT_SECONDS = 60
LISTENING = "0A"
LOOPBACK = {"0100007F", "0000000000000000FFFF00000100007F"}
"""127.0.0.1 as /proc/net writes it, for IPv4 and mapped into IPv6."""


def post(
    platform: Platform, body: object, model: str = "churn", days: int = 0, **headers: str
) -> httpx.Response:
    """Ask for a prediction at noon, some days into the replay; `headers` replace those a good request has."""
    sent = {
        "Authorization": f"Bearer {platform.api_key()}",
        "X-Event-Time": (NOON + timedelta(days=days)).isoformat(),
        "Content-Type": "application/json",
    } | {name.replace("_", "-"): value for name, value in headers.items()}
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    url = f"{platform.settings.gateway_url}/v1/predict/{model}"
    return httpx.post(
        url, content=content, headers={k: v for k, v in sent.items() if v}, trust_env=False, timeout=10
    )


def inferences(platform: Platform) -> float:
    """Return how many rows Triton has scored, as its own metrics say."""
    url = f"http://127.0.0.1:{platform.settings.triton_metrics_port}/metrics"
    text = httpx.get(url, trust_env=False).text
    return sum(float(v) for v in re.findall(r"^nv_inference_count\{.*\} (\S+)$", text, flags=re.M))


@pytest.fixture
def customer(platform: Platform) -> dict[str, object]:
    """A request for a customer who has features."""
    return {"entity": {"customer_id": entities_of(platform.settings, platform.contract, Replay().as_of)[0]}}


def test_a_prediction_is_answered_logged_and_traceable(platform, customer):
    """From the answer back to data, code, evaluation and person."""
    answer = post(platform, customer)
    assert httpx.codes.OK == answer.status_code, answer.text
    body = answer.json()
    row = find(platform.settings.predictions_folder, body["prediction_id"])
    assert row is not None
    assert (body["score"],) == row.outputs
    version = Ledger(platform.settings.ledger_uri).version("churn", body["version"])
    text = trace(platform.settings, body["prediction_id"])
    for part in (
        version.artefact_sha256,
        version.run_id,
        "days_since_last_purchase",
        "by approver at",
        "requested by",
    ):
        assert part in text


def test_a_batch_scores_as_the_gateway_answers(platform, customer):
    """The same customer at the same moment: one artefact, in process and in Triton; both are traceable."""
    answer = post(platform, customer).json()
    operator = platform.airflow("operator")
    conf = {"as_of": NOON.isoformat(), "entities": list(customer["entity"].values())}
    run = operator.trigger("churn_batch_score", conf)
    operator.wait("churn_batch_score", run, lambda *_: None, WAIT_SECONDS)
    [scored] = pyarrow.parquet.read_table(operator.result("churn_batch_score", run, "publish")).to_pylist()
    assert pytest.approx(answer["score"], abs=1e-6) == scored["score"]
    assert (answer["version"], answer["fallback"]) == (scored["version"], scored["fallback"])
    assert datetime.fromisoformat(answer["features_as_of"]) == scored["features_as_of"]
    assert "source batch" in trace(platform.settings, scored["prediction_id"])


def test_the_served_version_beats_the_baseline_on_unseen_time(platform):
    """The gates' figures, from the report that travels with the version."""
    store = ArtefactStore(platform.settings.artefacts_folder)
    version = Ledger(platform.settings.ledger_uri).champion("churn")
    report = load_report(store, version)
    assert 0.85 > report.metrics["roc_auc"] > report.baseline_metrics["roc_auc"] + 0.05


REFUSALS = [
    ("unknown customer", {"entity": {"customer_id": 99_999_999}}, {}, 404),
    ("NaN", b'{"entity": {"customer_id": NaN}}', {}, 400),
    ("a wrong type", {"entity": {"customer_id": "seven"}}, {}, 422),
    ("a fraction", {"entity": {"customer_id": 7.5}}, {}, 422),
    ("an unknown key", {"entity": {"customer_id": 1}, "colour": "red"}, {}, 422),
    ("no key", {"entity": {"customer_id": 1}}, {"Authorization": ""}, 401),
    ("a wrong key", {"entity": {"customer_id": 1}}, {"Authorization": "Bearer nk_000000000000.guess"}, 401),
    ("a body over the limit", b'{"pad": "' + b"x" * 1_048_576 + b'"}', {}, 413),
    ("another content type", {"entity": {"customer_id": 1}}, {"Content_Type": "text/plain"}, 415),
    ("broken JSON", b'{"entity": ', {}, 400),
]


@pytest.mark.parametrize(("what", "body", "headers", "status"), REFUSALS, ids=[case[0] for case in REFUSALS])
def test_bad_input_is_refused_with_a_reason_and_never_reaches_the_model(
    platform, what, body, headers, status
):
    """A problem document says what is wrong; Triton has scored nothing."""
    before = inferences(platform)
    answer = post(platform, body, **headers)
    assert status == answer.status_code, answer.text
    assert answer.headers["content-type"].startswith("application/problem+json")
    problem = answer.json()
    assert problem["status"] == status
    assert all(problem[member] for member in ("type", "title", "detail", "instance"))
    assert before == inferences(platform)


def test_an_unknown_model_is_not_found(platform, customer):
    """404 with the model's name."""
    answer = post(platform, customer, model="nobody")
    assert (404, True) == (answer.status_code, "nobody" in answer.json()["detail"])


def test_a_killed_triton_is_survived(platform, customer):
    """While it is away the fallback answers and says so; then the version answers as before."""
    before = post(platform, customer).json()
    home = str(platform.settings.triton_repository)
    victims = [p.pid for p in read_processes() if p.name == "tritonserver" and home in command_of(p.pid)]
    assert victims
    send(signal.SIGKILL, victims)
    fallen = post(platform, customer)
    assert (200, "model_unavailable", 0.21) == (
        fallen.status_code,
        fallen.json()["fallback"],
        fallen.json()["score"],
    )
    deadline = time.monotonic() + WAIT_SECONDS
    while (answer := post(platform, customer).json())["fallback"] and time.monotonic() < deadline:
        time.sleep(0.2)
    assert (before["score"], before["version"]) == (answer["score"], answer["version"])


def command_of(pid: int) -> str:
    """Return a process's command line."""
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()


def test_every_row_of_replayed_traffic_is_in_the_log_once(platform):
    """What was answered is logged; nothing else is."""
    known = {row.prediction_id for row in read(platform.settings.predictions_folder)}
    traffic = replay(platform, Replay().as_of, 200, 0.0)
    rows = [row for row in read(platform.settings.predictions_folder) if row.prediction_id not in known]
    assert {200: 200} == traffic.statuses
    assert 200 == len(rows) == len({row.prediction_id for row in rows})


def test_a_missed_gate_stops_the_run_and_registers_nothing(platform):
    """The failed run names the gate with its figures."""
    cycle = LifeCycle(platform.airflow("operator"), "strict", platform.progress.say)
    cycle.label(Replay().as_of, Replay().as_of - timedelta(days=126))
    with pytest.raises(PlatformError, match=r"roc_auc .*must be at least 0\.99"):
        cycle.train(Replay().moment)
    assert () == Ledger(platform.settings.ledger_uri).versions("strict")


@pytest.fixture(scope="module")
def newer(platform: Platform) -> tuple[str, str]:
    """Train on later data: the version, and the release run that asks for its approval."""
    day = Replay().as_of + timedelta(days=21)
    cycle = platform.life_cycle()
    cycle.materialize(day, day - timedelta(days=6))
    cycle.label(day, day - timedelta(days=28))
    release = cycle.train(Replay().moment + timedelta(days=21))
    cycle.await_approval(release)
    return Ledger(platform.settings.ledger_uri).versions("churn")[-1].version, release


def asked(platform: Platform, version: str) -> str:
    """Ask for a release, as an operator does by hand; return the run once it waits for its approver."""
    release = platform.airflow("operator").trigger("churn_release", {"version": version})
    platform.life_cycle().await_approval(release)
    return release


def write_to_airflow(api: AirflowApi, method: str, path: str, body: dict[str, object]) -> None:
    """Do what Airflow lets a user do who may edit a DAG, and the client of ours has no use for."""
    answer = httpx.request(
        method, f"{api.url}/api/v2/{path}", json=body, headers=api._headers, trust_env=False, timeout=30
    )
    assert answer.is_success, answer.text


def test_an_approval_cannot_be_forged(platform, newer):
    """XCom entries and a task marked as successful approve nothing; the run fails and the ledger says so."""
    _, release = newer
    operator = platform.airflow("operator")
    task = f"dags/churn_release/dagRuns/{release}/taskInstances/approve"
    forged = {"approved": True, "decided_by": "approver", "decided_at": NOON.isoformat(), "reason": None}
    write_to_airflow(operator, "POST", f"{task}/xcomEntries", {"key": "return_value", "value": forged})
    write_to_airflow(operator, "PATCH", task, {"new_state": "success"})
    with pytest.raises(PlatformError, match="is awaiting_approval: without an approval"):
        platform.life_cycle().await_release(release)
    ledger = Ledger(platform.settings.ledger_uri)
    waiting = ledger.open_release_of("churn")
    assert waiting is not None
    assert () == ledger.approvals(waiting.release_id)
    assert "1.0.0" == ledger.champion("churn").version
    make(platform, "abandon", "MODEL=churn", "REASON=a test of forgery")


def test_a_rejected_release_changes_nothing_but_the_ledger(platform, customer, newer):
    """The trigger-er and the viewer may not answer; the approver's no ends it, the champion serves on."""
    release = asked(platform, newer[0])
    for user in ("operator", "viewer"):
        with pytest.raises(PlatformError, match="403"):
            platform.airflow(user).answer("churn_release", release, "approve", "Approve")
    time.sleep(3)
    platform.airflow("approver").answer("churn_release", release, "approve", "Reject", "not today")
    with pytest.raises(PlatformError, match="not approved"):
        platform.life_cycle().await_release(release)
    ledger = Ledger(platform.settings.ledger_uri)
    last = ledger.releases("churn")[-1]
    answers = [(a.decision, a.decided_by, a.reason) for a in ledger.approvals(last.release_id)]
    assert ReleaseStage.REJECTED is last.stage
    assert [(Decision.REJECTED, "approver", "not today")] == answers
    assert "1.0.0" == post(platform, customer, days=21).json()["version"]
    assert ledger.open_release_of("churn") is None


def test_an_altered_artefact_is_refused_while_the_old_version_serves(platform, customer, newer):
    """One byte flipped after registration: the load step says which file, the release ends."""
    release = asked(platform, newer[0])
    ledger = Ledger(platform.settings.ledger_uri)
    path = platform.settings.artefacts_folder / ledger.versions("churn")[-1].package_uri / "model.onnx"
    content = path.read_bytes()
    middle = len(content) // 2
    path.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
    try:
        platform.life_cycle().approve(release, platform.airflow("approver"))
        with pytest.raises(PlatformError, match=r"model\.onnx was altered"):
            platform.life_cycle().await_release(release)
    finally:
        path.write_bytes(content)
    assert ReleaseStage.ABANDONED is ledger.releases("churn")[-1].stage
    assert "1.0.0" == post(platform, customer, days=21).json()["version"]


def make(platform: Platform, *arguments: str) -> str:
    """Run a make target against the running platform, as a person would; return what it printed."""
    environment = dict(os.environ) | settings_environment(platform.settings)
    done = subprocess.run(
        ["make", *arguments],
        cwd=REPOSITORY_ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def served(platform: Platform, customer: dict[str, object], version: str) -> None:
    """Wait until the gateway answers with a version; a route is at most a second old, and then some."""
    deadline = time.monotonic() + WAIT_SECONDS
    while (answer := post(platform, customer, days=21).json())["version"] != version:
        assert time.monotonic() < deadline, answer
        time.sleep(0.1)


def test_a_second_version_is_released_and_rolled_back(platform, customer, newer):
    """New data only: a PATCH, compared with the champion; back by command, forth by DAG.

    Meanwhile the version before is asked for again: it is compared with the new champion first, and the yes
    is void, since the champion gave way before it.
    """
    newest = newer[0]
    assert "1.0.1" == newest
    release = asked(platform, newest)
    platform.life_cycle().approve(release, platform.airflow("approver"))
    platform.life_cycle().await_release(release)
    served(platform, customer, newest)
    again = asked(platform, "1.0.0")
    make(platform, "rollback", "MODEL=churn", "TO=1.0.0", "REASON=a test of going back")
    served(platform, customer, "1.0.0")
    platform.life_cycle().approve(again, platform.airflow("approver"))
    operator = platform.airflow("operator")
    operator.wait_for_task("churn_release", again, "ask_again", "success", WAIT_SECONDS)
    ledger = Ledger(platform.settings.ledger_uri)
    outdated = ledger.releases("churn")[-1]
    assert (ReleaseStage.OUTDATED, newest) == (outdated.stage, outdated.champion_version)
    assert outdated.evaluation_uri is not None
    assert () == ledger.approvals(outdated.release_id)
    run = operator.trigger("churn_rollback", {"to": newest, "reason": "a test of going forth"})
    operator.wait("churn_rollback", run, lambda *_: None, WAIT_SECONDS)
    served(platform, customer, newest)


def test_commands_tell_the_truth_about_a_running_platform(platform, customer):
    """`make trace` and `make verify-ledger`, typed as the README says."""
    prediction = post(platform, customer, days=21).json()
    told = make(platform, "trace", f"ID={prediction['prediction_id']}")
    assert "adds up to the score" in told
    assert "the chain is complete" in told
    assert prediction["version"] in make(platform, "served", "MODEL=churn")
    assert "the ledger is whole" in make(platform, "verify-ledger")
    assert "already running" in make(platform, "start")


def test_every_logged_prediction_is_traced_to_its_end(platform):
    """Whatever answered it, and whatever was rolled back since: the chain behind each row is complete."""
    found = Provenances(platform.settings)
    rows = list(read(platform.settings.predictions_folder))
    assert len(rows) > 100
    assert {} == {row.prediction_id: gaps for row in rows if (gaps := found.of(row).gaps)}


def test_a_rerun_day_changes_no_feature_file(platform):
    """Idempotence through Airflow, to the byte and the time stamp."""
    folder = platform.settings.features_folder / "offline"
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.rglob("*.parquet")}
    platform.life_cycle().materialize(Replay().as_of)
    assert before == {
        path: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.rglob("*.parquet")
    }


@pytest.mark.slow
def test_a_backfill_is_one_run_a_day_and_replaces_nothing_newer(platform, tmp_path):
    """`make backfill` while nothing has a schedule: the bytes that one run of all days would write."""
    days = [date(2017, 1, 28), date(2017, 1, 29), date(2017, 1, 30)]
    online = stamps_online(platform)
    said = make(platform, "-s", "backfill", f"FROM={days[0]}", f"TO={days[-1]}")
    assert [f"{day}: success" for day in days] == said.splitlines()
    runs = platform.airflow("operator").backfill_runs("features_materialize", days[0], days[-1])
    assert [f"{day}T00:00:00Z" for day in days] == [run["logical_date"] for run in runs]
    once = platform.settings.model_copy(update={"home": tmp_path})
    compute_features(once, days[0], days[-1], datetime.combine(days[-1], datetime.min.time(), UTC))
    for view in used_views(once):
        for day in days:
            paths = [offline_folder(home, view) / f"{day}.parquet" for home in (once, platform.settings)]
            assert paths[0].read_bytes() == paths[1].read_bytes(), paths[1]
    assert online == stamps_online(platform)


def stamps_online(platform: Platform) -> dict[str, datetime | None]:
    """Return the newest online stamp of each view that models use."""
    views = used_views(platform.settings)
    return {name: freshness(platform.settings, view).online for name, view in views.items()}


def test_the_ledger_is_whole(platform):
    """The chain verifies after all that happened, and holds no customer."""
    ledger = Ledger(platform.settings.ledger_uri)
    events = ledger.events(limit=10_000)
    assert len(events) == ledger.verify()
    assert b'customer_id":' not in canonical_json([event.payload for event in events])


def test_only_loopback_is_listened_on(platform):
    """No server of ours is reachable from outside."""
    settings = platform.settings
    ports = {
        settings.airflow_port: "Airflow",
        settings.mlflow_port: "MLflow",
        settings.gateway_port: "gateway",
        settings.triton_grpc_port: "Triton",
        settings.triton_metrics_port: "Triton's metrics",
    }
    listening = set()
    for line in (Path("/proc/net/tcp").read_text() + Path("/proc/net/tcp6").read_text()).splitlines():
        _, local, _, state = line.split()[:4]
        if state != LISTENING:
            continue
        address, port = local.split(":")
        if int(port, 16) in ports:
            listening.add((ports[int(port, 16)], address in LOOPBACK))
    assert {(name, True) for name in ports.values()} == listening
