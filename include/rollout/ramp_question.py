"""What a person is shown when a ramp holds, as Markdown."""

from datetime import datetime

from include.contracts.guardrails import GuardrailResult
from include.contracts.ramps import RampDecision
from include.contracts.releases import Release


def question(release: Release, decision: RampDecision, asked_at: datetime) -> str:
    """Return what is known, what is missing, and what each answer does.

    Airflow keeps the text of a task's first question, so it says of when its figures are.
    """
    ramp = release.ramp
    until = f", until {ramp.answer_by:%Y-%m-%d %H:%M} UTC" if ramp is not None and ramp.answer_by else ""
    return "\n\n".join(
        (
            f"# {release.model} {release.version} at {release.plan.name_of(decision.place)}",
            f"**{decision.reason.value.replace('_', ' ')}**: {decision.detail}. Figures of "
            f"{asked_at:%Y-%m-%d %H:%M} UTC.",
            _table(decision.guardrails) if decision.guardrails else "No guardrail was judged.",
            "\n".join(
                (
                    f"- **Extend**: the place is held once more (so far it was judged {_times(release)}).",
                    "- **Roll back**: the version loses its traffic now.",
                    "- **Promote**: on to the next place without this evidence. It needs a reason.",
                )
            ),
            f"Without an answer{until} it goes back. Guardrails go on watching: harm that shows meanwhile "
            "goes back at once. Where it holds again, this text stays as it is: the release's page and the "
            "alert `ramp_held` have the newest figures, and the newest time to answer by.",
        )
    )


def _times(release: Release) -> str:
    looks = release.ramp.looks if release.ramp is not None else 0
    return "once" if looks == 1 else f"{looks} times"


def _table(results: tuple[GuardrailResult, ...]) -> str:
    rows = [
        "| guardrail | verdict | new version | control | worse by | limits | margin | requests |",
        "|---|---|---|---|---|---|---|---|",
    ]
    rows += [
        f"| {each.metric} | {each.reason.value} | {_figure(each.treatment)} | {_figure(each.control)} | "
        f"{_figure(each.harm)} | {_figure(each.harm_low)} to {_figure(each.harm_high)} | {each.margin:g} | "
        f"{each.treatment_requests:,} of {each.treatment_requests + each.control_requests:,} |"
        for each in results
    ]
    return "\n".join(rows)


def _figure(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.4g}"
