"""`make drill`: a sabotaged and an honest version through a real ramp on replayed traffic; docs/drill.md.

Everything is real: the platform's processes, the approval, the gateway, the prediction log, the ramp. Only
the times of the plan are compressed, by the parameter `clock` of the release; the requests its stages take
are not.
"""

import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event, Thread

import httpx
import yaml

from include.adapters.files import write_atomically
from include.adapters.ledger.ledger import Ledger
from include.commands.benchmark_record import provenance
from include.commands.drill_versions import sabotaged, twin
from include.commands.platform import OPERATOR, Platform, Replay, bring_to_production, running
from include.commands.processes import refuse_second_start
from include.commands.progress import Progress
from include.commands.terminal import end_on_signals, run_command
from include.commands.traffic import entities_of, replay
from include.config.models import ModelFolder, model_folder
from include.config.settings import REPOSITORY_ROOT, Settings, settings
from include.contracts.errors import PlatformError
from include.contracts.events import LedgerEvent
from include.contracts.packages import Version
from include.contracts.ramps import RampDecision, RolloutPlan
from include.contracts.releases import Release, ReleaseStage
from include.contracts.routes import ModelRoute

MODEL = "churn"
APPROVER = "approver"
CLOCK = 0.0005
"""An hour of the plan takes 1.8 seconds."""
PLAN = {
    "stages": [{"share": share, "hold": "6h"} for share in (0.1, 0.25, 0.5, 1.0)],
    "bake": "12h",
    "patience": "20d",
    "guardrails": [
        {"metric": "error_ratio", "margin": 0.05, "baseline": 0.01},
        {"metric": "fallback_ratio", "margin": 0.05, "baseline": 0.01},
        {"metric": "latency_p99_seconds", "margin": 0.5},
    ],
}
"""Margins as wide as some thousand replayed requests of some hundred units can show."""
PAGE = REPOSITORY_ROOT / "docs" / "drill.md"
_PARSED_SECONDS = 240.0
_RELEASE_SECONDS = 900.0
_POLL_SECONDS = 0.5
_ENDED = frozenset({"success", "failed"})


@dataclass(frozen=True)
class Rehearsal:
    """What became of one release."""

    what: str
    release: Release
    decisions: tuple[RampDecision, ...]
    """In their order; the last one ended it."""
    sent: int
    """Requests replayed meanwhile."""
    seconds: float
    """From its first traffic to its end."""
    entered: tuple[str, ...]
    """Places it entered, in order."""
    event: LedgerEvent
    """The one that ended it."""
    route: ModelRoute


def main() -> None:
    """Run the drill; status 1 and the reason when a ramp did not do what it must."""
    run_command(drill)


def drill() -> None:
    """Ship both versions and write down what became of them.

    Raises:
        PlatformError: the sabotaged version was not rolled back, or the honest one not promoted.
    """
    home = settings().home / "drill"
    own = settings().model_copy(update={"home": home, "ledger_url": "", "model_folders": (home / "models",)})
    refuse_second_start(own)
    shutil.rmtree(home, ignore_errors=True)
    shutil.copytree(model_folder(settings().model_folders, MODEL).path, home / "models" / MODEL)
    platform = Platform(own, MODEL, Progress(9))
    end_on_signals()
    with running(platform):
        bring_to_production(platform, Replay(), APPROVER)
        with platform.progress.step("give the model's contract a ramp"):
            write_ramp(platform, PLAN)
            await_ramp(platform)
        rehearsals = [
            rehearse(platform, "sabotaged: no number for half of the requests", sabotaged),
            rehearse(platform, "honest: answers as the champion does", twin),
        ]
        with closing(Ledger(own.ledger_uri)) as ledger:
            events = ledger.verify()
    write_atomically(PAGE, page(rehearsals, events).encode())
    check(rehearsals)
    print(page(rehearsals, events))


def write_ramp(platform: Platform, plan: Mapping[str, object]) -> None:
    """Write a plan into the contract of the model's own copy."""
    path = folder_of(platform).path / "contract.yaml"
    contract = yaml.safe_load(path.read_text(encoding="utf-8")) | {"rollout": dict(plan)}
    write_atomically(path, yaml.safe_dump(contract, sort_keys=False).encode())


def await_ramp(platform: Platform) -> None:
    """Wait until Airflow has read a plan that was written.

    Raises:
        PlatformError: it did not in time.
    """
    operator, deadline = platform.airflow(OPERATOR), time.monotonic() + _PARSED_SECONDS
    while "bake" not in operator.task_ids(f"{MODEL}_release"):
        if time.monotonic() > deadline:
            raise PlatformError(
                f"Airflow did not read the new plan of {MODEL} within {_PARSED_SECONDS:.0f} s"
            )
        time.sleep(_POLL_SECONDS)


def rehearse(
    platform: Platform, what: str, make: Callable[[Settings, ModelFolder, Version], Version]
) -> Rehearsal:
    """Register a version made of the champion, release it under traffic, and wait for its end."""
    with (
        closing(Ledger(platform.settings.ledger_uri)) as ledger,
        platform.progress.step(f"ramp a version, {what}"),
    ):
        champion = ledger.champion(MODEL)
        if champion is None:
            raise PlatformError(f"nothing serves {MODEL}")
        version = make(platform.settings, folder_of(platform), champion)
        operator, cycle = platform.airflow(OPERATOR), platform.life_cycle()
        run_id = operator.trigger(f"{MODEL}_release", {"version": version.version, "clock": CLOCK})
        cycle.await_approval(run_id)
        cycle.approve(run_id, platform.airflow(APPROVER))
        with traffic(platform) as sent:
            await_end(
                lambda: str(operator.run(f"{MODEL}_release", run_id)["state"]), platform, ledger, run_id
            )
        return told(ledger, f"{MODEL}-{run_id}", what, sent())


def await_end(state: Callable[[], str], platform: Platform, ledger: Ledger, run_id: str) -> None:
    """Wait until a release's run is over, saying where it stands.

    Raises:
        PlatformError: it was not in time.
    """
    deadline, said = time.monotonic() + _RELEASE_SECONDS, 0
    while state() not in _ENDED:
        release = ledger.release(f"{MODEL}-{run_id}")
        if release is not None and release.revision > said:
            said = release.revision
            platform.progress.say(
                f"{release.stage.value} at {release.share:.0%}: {last_word(ledger, release)}"
            )
        if time.monotonic() > deadline:
            raise PlatformError(f"the release {run_id} was not over within {_RELEASE_SECONDS:.0f} s")
        time.sleep(_POLL_SECONDS)


@contextmanager
def traffic(platform: Platform) -> Iterator[Callable[[], int]]:
    """Replay a day's requests for the length of a block; yield what tells how many were sent.

    Every entity asks in turn: requests of few units, however many, would show little.
    """
    over, sent = Event(), [0]
    day = Replay().as_of
    entities = len(entities_of(platform.settings, platform.contract, day))
    quiet = replace(platform, progress=Quiet(0))

    def send() -> None:
        while not over.is_set():
            try:
                sent[0] += replay(quiet, day, entities, 0.0).requests
            except (PlatformError, httpx.HTTPError) as error:
                platform.progress.say(f"a batch of requests was lost: {error}")

    sender = Thread(target=send, name="traffic")
    sender.start()
    try:
        yield lambda: sent[0]
    finally:
        over.set()
        sender.join()


class Quiet(Progress):
    """Says nothing."""

    def say(self, text: str) -> None:
        """Say nothing."""


def told(ledger: Ledger, release_id: str, what: str, sent: int) -> Rehearsal:
    """Return what the ledger tells of a release that is over."""
    release, route = ledger.release(release_id), ledger.route(MODEL)
    if release is None or route is None or release.ramp is None or release.ended_at is None:
        raise PlatformError(f"release {release_id} did not come to its ramp and end")
    events = [event for event in ledger.events(MODEL, limit=100_000) if event.subject == release_id]
    # An approval's decision is a word; a ramp's has figures.
    told_of = [event.payload.get("decision") for event in events]
    decided = [found for found in told_of if isinstance(found, dict)]
    places = dict.fromkeys(
        event.payload["release"]["ramp"]["place"]
        for event in events
        if event.payload.get("release", {}).get("ramp")
    )
    return Rehearsal(
        what=what,
        release=release,
        decisions=tuple(map(RampDecision.model_validate, decided)),
        sent=sent,
        seconds=(release.ended_at - release.ramp.began_at).total_seconds(),
        entered=tuple(release.plan.name_of(place) for place in places),
        event=events[-1],
        route=route,
    )


def last_word(ledger: Ledger, release: Release) -> str:
    """Return why a release stands where it does."""
    events = [event for event in ledger.events(MODEL, limit=100_000) if event.subject == release.release_id]
    return str(events[-1].payload.get("reason") or "")


def folder_of(platform: Platform) -> ModelFolder:
    """Return the drill's own copy of the model's folder."""
    return ModelFolder(Path(platform.settings.model_folders[0]) / MODEL)


def check(rehearsals: list[Rehearsal]) -> None:
    """Refuse a drill that did not end as it must.

    Raises:
        PlatformError: says which ramp, and how it ended.
    """
    for rehearsal, wanted in zip(rehearsals, (ReleaseStage.ROLLED_BACK, ReleaseStage.PROMOTED), strict=True):
        if rehearsal.release.stage is not wanted:
            raise PlatformError(
                f"{rehearsal.what}: {rehearsal.release.stage.value}, not {wanted.value}: "
                f"{rehearsal.decisions[-1].detail}"
            )


def page(rehearsals: list[Rehearsal], events: int) -> str:
    """Return the last drill as a page."""
    about = provenance(())
    plan = rehearsals[0].release.plan
    rows = [
        "| version | ended | places entered | after | its requests | replayed in all | decided by |",
        "|---|---|---|---|---|---|---|",
        *(_row(each) for each in rehearsals),
    ]
    proof = [
        f"- {each.release.version}: event {each.event.sequence}, `{each.event.kind.value}`, hash "
        f"`{each.event.hash[:16]}…`; champion afterwards: {each.route.champion.version}"
        for each in rehearsals
    ]
    return "\n".join(
        [
            "# Drill",
            "",
            "What `make drill` did last: two versions through a real ramp on replayed traffic. Times of the "
            f"plan are multiplied by {CLOCK:g}, its requests are what they are.",
            "",
            *rows,
            "",
            f"Plan: {_told(plan)}.",
            "",
            "Decisions, in their order:",
            "",
            *(f"- {each.release.version}, {made.detail}" for each in rehearsals for made in each.decisions),
            "",
            f"The ledger's proof, {events} events, chain whole:",
            "",
            *proof,
            "",
            f"{about['machine']}, commit `{str(about['commit'])[:12]}`.",
            "",
        ]
    )


def _row(each: Rehearsal) -> str:
    last = each.decisions[-1]
    return (
        f"| {each.release.version}, {each.what} | {each.release.stage.value} | {', '.join(each.entered)} | "
        f"{each.seconds:.0f} s | {last.requests:,} at the last place | {each.sent:,} | {last.reason.value} |"
    )


def _told(plan: RolloutPlan) -> str:
    stages = ", ".join(f"{stage.share:.0%} ({stage.minimum_requests:,} requests)" for stage in plan.stages)
    guardrails = ", ".join(f"{each.metric} within {each.margin:g}" for each in plan.guardrails)
    return f"{stages}; {guardrails}"


if __name__ == "__main__":
    main()
