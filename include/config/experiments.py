"""Loader of a model folder's experiments: each file by itself, so that a broken one breaks only its own."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pydantic import ValidationError

from include.config.code import EXPERIMENTS
from include.config.models import ModelFolder
from include.config.problems import problems_of
from include.config.strict_yaml import read_yaml
from include.contracts.errors import ContractError
from include.contracts.experiment_plan import CANDIDATE, CHAMPION, FAIRNESS, ExperimentPlan, MetricKind
from include.contracts.guardrails import RequestMetric
from include.contracts.model import ModelContract
from include.contracts.signatures import FeatureKind
from include.contracts.versions import is_semantic_version

LOG_METRICS = (RequestMetric.ERROR_RATIO.value, RequestMetric.FALLBACK_RATIO.value)
"""Metrics with source `prediction_log` that the log can answer."""
_EVERYWHERE = (*(metric.value for metric in RequestMetric), FAIRNESS)
"""Guardrails that need no metric of the contract."""


@dataclass(frozen=True)
class ExperimentFile:
    """An experiment's file beside the contract whose words it uses."""

    path: Path
    folder: ModelFolder

    @property
    def name(self) -> str:
        """Name of the file, which is the experiment's."""
        return self.path.stem

    @cached_property
    def plan(self) -> ExperimentPlan:
        """The plan, held against the model's contract.

        Raises:
            ContractError: it, or the contract, is wrong; one line per problem, each with the path of its key.
        """
        plan = self.written
        wrong = list(_contradictions(plan, self.folder.contract))
        if plan.name != self.name:
            wrong.insert(0, f"name: {plan.name!r} must equal the file's name, {self.name!r}")
        if wrong:
            raise ContractError("\n".join([f"{self.path}:", *(f"  {line}" for line in wrong)]))
        return plan

    @cached_property
    def written(self) -> ExperimentPlan:
        """The plan by itself, not held against the contract.

        Raises:
            ContractError: it is missing, or no plan; one line per problem.
        """
        if not self.path.is_file():
            raise ContractError(f"{self.path} is missing")
        try:
            return ExperimentPlan.model_validate(read_yaml(self.path))
        except ValidationError as error:
            raise ContractError(problems_of(self.path, ExperimentPlan, error)) from error


def experiment_files(folder: ModelFolder) -> dict[str, ExperimentFile]:
    """Return a model's experiments by name; their files are not read yet."""
    paths = sorted((folder.path / EXPERIMENTS).glob("*.yaml"))
    return {path.stem: ExperimentFile(path, folder) for path in paths}


def experiment_file(folder: ModelFolder, name: str) -> ExperimentFile:
    """Return one experiment's file, there or not."""
    return ExperimentFile(folder.path / EXPERIMENTS / f"{name}.yaml", folder)


def _contradictions(plan: ExperimentPlan, contract: ModelContract) -> Iterator[str]:
    """Yield what the plan says and the contract does not allow: the path of the key, then the reason."""
    if plan.unit != contract.entity.name:
        yield f"unit: {plan.unit!r} is not what requests are assigned by; allowed: {contract.entity.name}"
    yield from _versions(plan)
    yield from _primary(plan, contract)
    yield from _population(plan, contract)
    yield from _guardrails(plan, contract)


def _primary(plan: ExperimentPlan, contract: ModelContract) -> Iterator[str]:
    primary = plan.primary
    yield from _metric("primary.metric", primary.metric, primary.kind, contract)
    known = {metric.name: metric.direction for metric in contract.experiment_metrics}
    if primary.covariate is not None:
        inputs = {item.name: item.kind for item in contract.features.inputs}
        numeric = [name for name, kind in inputs.items() if kind is FeatureKind.NUMERIC]
        if primary.covariate.feature not in numeric:
            yield (
                f"primary.covariate.feature: {primary.covariate.feature!r} is no numeric input; allowed: "
                f"{', '.join(numeric)}"
            )
    if known.get(primary.metric, primary.direction) != primary.direction:
        yield (
            f"primary.direction: {primary.metric!r} is better by {known[primary.metric]!r}, says the contract"
        )


def _population(plan: ExperimentPlan, contract: ModelContract) -> Iterator[str]:
    inputs = {item.name: item.kind for item in contract.features.inputs}
    for index, condition in enumerate(plan.population):
        where = f"population.{index}"
        if condition.feature not in inputs:
            yield f"{where}.feature: {condition.feature!r} is no input; allowed: {', '.join(inputs)}"
        elif (inputs[condition.feature] is FeatureKind.CATEGORICAL) != (condition.values is not None):
            needed = "values" if condition.values is None else "minimum and maximum"
            yield f"{where}: {condition.feature!r} is {inputs[condition.feature].value}; give {needed}"


def _guardrails(plan: ExperimentPlan, contract: ModelContract) -> Iterator[str]:
    slices = [f"{part.view}.{part.column}" for part in contract.slices]
    for index, guardrail in enumerate(plan.guardrails):
        where = f"guardrails.{index}"
        if guardrail.metric == FAIRNESS and guardrail.slice not in slices:
            yield f"{where}.slice: {guardrail.slice!r} is no slice; allowed: {', '.join(slices) or 'none'}"
        elif guardrail.metric != FAIRNESS and not guardrail.is_of_requests:
            yield from _metric(f"{where}.metric", guardrail.metric, guardrail.kind, contract, _EVERYWHERE)


def _versions(plan: ExperimentPlan) -> Iterator[str]:
    for index, variant in enumerate(plan.variants):
        if variant.version not in {CHAMPION, CANDIDATE} and not is_semantic_version(variant.version):
            yield (
                f"variants.{index}.version: {variant.version!r} is no version; allowed: {CHAMPION}, "
                f"{CANDIDATE}, or a semantic version such as 1.2.0"
            )
    for index, variant in enumerate(plan.treatments, start=1):
        if variant.version == CHAMPION:
            yield f"variants.{index}.version: the champion is the control, so it comes first"
    if plan.control.version == CANDIDATE:
        yield "variants.0.version: the control is what serves: champion, or its version"


def _metric(
    where: str, name: str, kind: MetricKind, contract: ModelContract, others: tuple[str, ...] = ()
) -> Iterator[str]:
    sources = {metric.name: metric.source for metric in contract.experiment_metrics}
    if name not in sources:
        allowed = ", ".join((*sources, *others)) or "none"
        yield f"{where}: {name!r} is not among the contract's experiment_metrics; there are: {allowed}"
    elif sources[name] == "prediction_log" and name not in LOG_METRICS:
        yield f"{where}: the prediction log has no {name!r}; it has: {', '.join(LOG_METRICS)}"
    elif sources[name] == "prediction_log" and kind is not MetricKind.RATIO:
        yield f"{where}: {name!r} counts requests, so its kind is 'ratio'"
    elif sources[name] == "label" and kind is MetricKind.RATIO:
        yield f"{where}: {name!r} is a label, one a unit; its kind is 'proportion' or 'mean'"
