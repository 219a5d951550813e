"""What approvers are shown before a version gets the traffic of an experiment."""

from include.config.experiments import ExperimentFile
from include.contracts.experiment_plan import ExperimentPlan, Variant
from include.contracts.moments import format_duration
from include.contracts.packages import Version
from include.experiments.propose import Proposal

_DAY_SECONDS = 86_400.0


def evidence_of(file: ExperimentFile, proposal: Proposal) -> str:
    """Return the question as Markdown: what is compared, on whom, for how long, and what stops it."""
    plan, size, primary = proposal.plan, proposal.size, proposal.plan.primary
    several = " and all treatments together (Holm)" if len(plan.treatments) > 1 else ""
    guardrails = [f"- {each.name}: less than {each.margin:g} worse" for each in plan.guardrails]
    days = "never" if size.expected_seconds is None else f"{size.expected_seconds / _DAY_SECONDS:,.0f} days"
    return "\n".join(
        [
            f"**{plan.name}** of {file.folder.name}: {plan.description}",
            "",
            *(_tried(plan, *each) for each in zip(plan.treatments, proposal.treatments, strict=True)),
            f"{proposal.control_version} keeps the rest. Plan `{plan.sha256[:12]}`, salt `{plan.salt}`.",
            "",
            f"Decided by {primary.metric} ({primary.kind.value}, better by {primary.direction}): a "
            f"difference of {primary.mde:g} is found with power {primary.power:g}; a false alarm comes with "
            f"{primary.alpha:g} over {len(primary.looks)} looks{several}.",
            "",
            f"{size.units:,} units; at {size.units_per_day:,.0f} new ones a day that "
            f"takes {days}, outcomes included. Exposures count for {format_duration(plan.within)}.",
            *(["", f"**Underpowered.** {proposal.problem}"] if proposal.problem else []),
            "",
            "Rolled back where harm is shown to:",
            *guardrails,
        ]
    )


def _tried(plan: ExperimentPlan, treatment: Variant, version: Version) -> str:
    shares = ", then ".join(f"{share:.0%}" for share in (*plan.ramp, treatment.share))
    return (
        f"{version.version} gets {shares} of the units. Artefact `{version.artefact_sha256[:12]}`, requested "
        f"by {version.requested_by}."
    )
