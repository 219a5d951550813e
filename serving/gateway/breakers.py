"""The breakers of all versions: they outlive a change of routes, and every change is told."""

from collections.abc import Iterable
from functools import partial
from logging import getLogger

from include.contracts.routes import VersionRoute
from serving.gateway.breaker import Breaker, BreakerPolicy, BreakerState
from serving.gateway.telemetry import Telemetry

_log = getLogger(__name__)
_POLICY = BreakerPolicy()


class Breakers:
    """One breaker for each version of each model; another artefact begins with a closed one."""

    def __init__(self, telemetry: Telemetry, policy: BreakerPolicy = _POLICY) -> None:
        self._telemetry = telemetry
        self._policy = policy
        self._breakers: dict[tuple[str, str, str], Breaker] = {}

    def of(self, model: str, version: VersionRoute) -> Breaker:
        """Return a version's breaker."""
        key = _key(model, version)
        if key not in self._breakers:
            told = partial(self._tell, model, version.version)
            self._breakers[key] = Breaker(self._policy, told)
        return self._breakers[key]

    def keep(self, versions: Iterable[tuple[str, VersionRoute]]) -> None:
        """Forget every version of a model but these."""
        kept = {_key(model, version) for model, version in versions}
        self._breakers = {key: breaker for key, breaker in self._breakers.items() if key in kept}

    def _tell(self, model: str, version: str, state: BreakerState) -> None:
        fields = {"model": model, "version": version, "state": state}
        _log.warning("breaker changed", extra={"fields": fields})
        self._telemetry.breaker_changes.add(model, version, state)


def _key(model: str, version: VersionRoute) -> tuple[str, str, str]:
    return model, version.version, version.artefact_sha256
