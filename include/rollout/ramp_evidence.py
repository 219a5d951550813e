"""The evidence a place of a ramp is judged by: the prediction log, monitors, and what labels have shown."""

from collections.abc import Callable
from datetime import datetime

from include.adapters.ledger.ledger import Ledger
from include.adapters.measurements import MeasurementStore
from include.adapters.variant_figures import Arm, Samples, VariantReader, joined
from include.config.settings import Settings
from include.contracts.errors import DataError
from include.contracts.measurements import Measurement, Monitor
from include.contracts.monitor_health import blockers, judge_health, watched_monitors
from include.contracts.monitoring import Monitoring
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
        monitoring: the contract's block: what must be awake.
    """

    def __init__(self, settings: Settings, ledger: Ledger, monitoring: Monitoring) -> None:
        self._settings = settings
        self._ledger = ledger
        self._monitoring = monitoring
        self._readers: dict[datetime, VariantReader] = {}

    def of(self, release: Release, now: datetime) -> Evidence:
        """Return what is known at a moment of wall time; a log that cannot be read is part of it."""
        ramp = release.ramp
        if ramp is None:
            return Evidence()
        try:
            control, treatment = self._arms(release, ramp)
        except (DataError, OSError) as error:
            return Evidence(
                problem=str(error),
                silent=self._silent(release.model, now),
                has_way_back=self._has_way_back(release),
            )
        return Evidence(
            treatment,
            control,
            silent=self._silent(release.model, now),
            labels=self._labels(release),
            has_way_back=self._has_way_back(release),
        )

    def _has_way_back(self, release: Release) -> bool:
        if release.stage is not ReleaseStage.BAKING:
            return True
        route = self._ledger.route(release.model)
        return route is not None and route.previous is not None

    def _arms(self, release: Release, ramp: Ramp) -> tuple[VariantSample | None, VariantSample | None]:
        """Return the requests of the control and of the new version at the place."""
        share, samples = release.plan.share_at(ramp.place), self._samples(release.model, ramp.entered_at)
        if ramp.place == SHADOW_PLACE:
            return (
                _all(samples, lambda arm: arm.source is Source.LIVE and arm.variant == CHAMPION),
                _all(samples, lambda arm: arm.source is Source.SHADOW),
            )
        if share < 1.0:
            beside, new = (
                Arm(Source.LIVE, release.release_id, share, name) for name in (CHAMPION, CHALLENGER)
            )
            return samples.get(beside), samples.get(new)
        new = Arm(Source.LIVE, release.release_id, None, CHAMPION)
        if ramp.control_share is None:
            return None, samples.get(new)
        past = Arm(Source.LIVE, release.release_id, ramp.control_share, CHAMPION)
        return self._samples(release.model, ramp.began_at).get(past), samples.get(new)

    def _samples(self, model: str, since: datetime) -> Samples:
        if since not in self._readers:
            self._readers[since] = VariantReader(self._settings, model, since)
        return self._readers[since].read()

    def _silent(self, model: str, now: datetime) -> tuple[str, ...]:
        served = self._ledger.route_history(model)
        since = served[0].recorded_at if served else now
        store = MeasurementStore(self._settings.ledger_uri)
        try:
            found = [
                judge_health(each, store.last_run(model, each.monitor), since, now)
                for each in watched_monitors(self._monitoring, replay=self._settings.replay)
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
            each
            for each in measured
            if (each.version, each.variant, each.slice) == (release.version, None, None)
        )


def _all(samples: Samples, wanted: Callable[[Arm], bool]) -> VariantSample | None:
    """Return the requests of all arms that are wanted as one."""
    one = Arm(Source.LIVE, None, None, None)
    return joined([{one: sample} for arm, sample in samples.items() if wanted(arm)]).get(one)
