"""The evidence a place of a ramp is judged by: the prediction log, monitors, and what labels have shown."""

from collections.abc import Callable
from datetime import datetime

from include.adapters.ledger.ledger import Ledger
from include.adapters.measurements import MeasurementStore
from include.adapters.variant_figures import Arm, Samples, VariantReader, joined
from include.config.settings import Settings
from include.contracts.errors import DataError
from include.contracts.guardrails import RequestMetric
from include.contracts.measurements import Measurement, Monitor
from include.contracts.model import ModelContract, Objectives
from include.contracts.monitor_health import blockers, judge_health, watched_monitors
from include.contracts.predictions import Source
from include.contracts.ramps import SHADOW_PLACE, Ramp
from include.contracts.releases import Release, ReleaseStage
from include.rollout.decide import Evidence
from include.stats.guardrails import VariantSample

CHAMPION, CHALLENGER = "champion", "challenger"
"""Variants, as rows of the prediction log name them."""


class RampEvidence:
    """Gathers a release's evidence; looked at again and again, it reads what is new of the log.

    Args:
        settings: says where log and measurements lie.
        ledger: for what served before, and since when.
        contract: names the monitors that must be awake.
    """

    def __init__(self, settings: Settings, ledger: Ledger, contract: ModelContract) -> None:
        self._settings = settings
        self._ledger = ledger
        self._contract = contract
        self._readers: dict[datetime, VariantReader] = {}

    def of(self, release: Release, now: datetime) -> Evidence:
        """Return what is known at a moment of wall time; a log that cannot be read is part of it."""
        ramp = release.ramp
        if ramp is None:
            return Evidence()
        try:
            samples = self._reader(release, ramp).read()
        except (DataError, OSError) as error:
            return Evidence(
                problem=str(error), silent=self._silent(now), has_way_back=self._has_way_back(release)
            )
        control, treatment = arms(release.release_id, release.plan.share_at(ramp.place), ramp, samples)
        return Evidence(
            treatment,
            control,
            silent=self._silent(now),
            labels=self._labels(release),
            has_way_back=self._has_way_back(release),
        )

    def _has_way_back(self, release: Release) -> bool:
        if release.stage is not ReleaseStage.BAKING:
            return True
        route = self._ledger.route(release.model)
        return route is not None and route.previous is not None

    def _reader(self, release: Release, ramp: Ramp) -> VariantReader:
        """Return the reader from when the place's requests count, and those of its control."""
        is_past = ramp.place >= release.plan.full_place and ramp.control_share is not None
        since = ramp.began_at if is_past else ramp.entered_at
        if since not in self._readers:
            self._readers = {since: VariantReader(self._settings, release.model, since)}
        return self._readers[since]

    def _silent(self, now: datetime) -> tuple[str, ...]:
        model = self._contract.name
        served = self._ledger.route_history(model)
        since = served[0].recorded_at if served else now
        store = MeasurementStore(self._settings.ledger_uri)
        try:
            found = [
                judge_health(each, store.last_run(model, each.monitor), since, now)
                for each in watched_monitors(self._contract.monitoring, replay=self._settings.replay)
            ]
        finally:
            store.close()
        return tuple(f"{each.monitor.value} ({each.health.value})" for each in blockers(found))

    def _labels(self, release: Release) -> tuple[Measurement, ...]:
        if not release.plan.labels or release.ramp is None or release.ramp.place != release.plan.bake_place:
            return ()
        store = MeasurementStore(self._settings.ledger_uri)
        try:
            measured = store.measurements(release.model, monitor=Monitor.PERFORMANCE)
        finally:
            store.close()
        return tuple(
            each for each in measured if each.version == release.version and each.slice is None
        )


def arms(
    release_id: str, share: float, ramp: Ramp, samples: Samples
) -> tuple[VariantSample | None, VariantSample | None]:
    """Return the requests of the control and of the new version at a place of a ramp."""
    if ramp.place == SHADOW_PLACE:
        return (
            _all(samples, lambda arm: arm.source is Source.LIVE and arm.variant == CHAMPION),
            _all(samples, lambda arm: arm.source is Source.SHADOW),
        )
    if share < 1.0:
        beside, new = (Arm(Source.LIVE, release_id, share, name) for name in (CHAMPION, CHALLENGER))
        return samples.get(beside), samples.get(new)
    past = Arm(Source.LIVE, release_id, ramp.control_share, CHAMPION)
    control = samples.get(past) if ramp.control_share is not None else None
    return control, samples.get(Arm(Source.LIVE, release_id, None, CHAMPION))


def accepted(objectives: Objectives) -> dict[str, float]:
    """Return, by metric, what a version without a champion beside it is held against: the objectives."""
    missed = 1.0 - objectives.availability
    return {
        RequestMetric.ERROR_RATIO.value: missed,
        RequestMetric.FALLBACK_RATIO.value: missed,
        RequestMetric.LATENCY_P99.value: objectives.latency_p99_ms / 1000.0,
    }


def _all(samples: Samples, wanted: Callable[[Arm], bool]) -> VariantSample | None:
    """Return the requests of all arms that are wanted as one."""
    one = Arm(Source.LIVE, None, None, None)
    return joined([{one: sample} for arm, sample in samples.items() if wanted(arm)]).get(one)
