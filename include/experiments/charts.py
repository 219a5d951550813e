"""Pictures of an experiment."""

from collections.abc import Sequence

from matplotlib.axes import Axes

from include.adapters.svg_charts import INK, svg_chart
from include.contracts.experiment_results import Distribution, JudgedGuardrail, Look, SliceFigures
from include.contracts.experiments import Experiment
from include.stats.experiment_design import design_of

SEEN, BOUND = "#2a78d6", "#e2711d"
_TALLEST_Z = 6.0


def boundary_chart(experiment: Experiment, looks: Sequence[Look], place: int = 0) -> str:
    """Draw z against information: the plan's bounds, the bounds and statistics of the looks there were.

    Args:
        experiment: says what was planned.
        looks: at one comparison.
        place: of its treatment in the plan.
    """
    design = design_of(experiment.plan)
    size = experiment.size.informations[place]

    def draw(axes: Axes) -> None:
        for bounds in (design.upper, design.lower):
            inside = [(t, z) for t, z in zip(design.fractions, bounds, strict=True) if abs(z) < _TALLEST_Z]
            axes.plot(*zip(*inside, strict=True), color=BOUND, linestyle=":", alpha=0.6) if inside else None
        if looks:
            shares = [look.information / size for look in looks]
            uppers = [min(look.upper, _TALLEST_Z) for look in looks]
            axes.plot(shares, uppers, color=BOUND, marker="_", linestyle="none", markersize=14, label="bound")
            lowers = [
                (x, look.lower) for x, look in zip(shares, looks, strict=True) if look.lower is not None
            ]
            for x, lower in lowers:
                axes.plot([x], [max(lower, -_TALLEST_Z)], color=BOUND, marker="_", markersize=14)
            axes.plot(shares, [look.z for look in looks], color=SEEN, marker="o", label="z")
            axes.legend()
        axes.axhline(0.0, color=INK, alpha=0.35, linewidth=0.8)
        axes.set(
            xlabel="information, as a share of the plan's", ylabel="z (positive is better)", title="Bounds"
        )

    return svg_chart(draw, "z of each look against its information, with the bounds")


def intervals_chart(looks: Sequence[Look]) -> str:
    """Draw the difference at each look with its repeated confidence interval."""

    def draw(axes: Axes) -> None:
        for place, look in enumerate(looks):
            axes.plot([look.low, look.high], [place, place], color=SEEN, linewidth=2)
            axes.plot([look.estimate], [place], color=SEEN, marker="o")
        axes.axvline(0.0, color=INK, alpha=0.5, linestyle=":")
        axes.set_yticks(range(len(looks)), [f"look {look.number}" for look in looks])
        axes.set_ylim(len(looks) - 0.5, -0.5)
        axes.set(xlabel="treatment less control", title="Difference")

    return svg_chart(draw, "Difference at each look with limits that hold at all looks at once", len(looks))


def guardrails_chart(guardrails: Sequence[JudgedGuardrail]) -> str:
    """Draw the harm to each guardrail in margins: what lies left of 1 is ruled out."""
    known = [each for each in guardrails if each.result.harm is not None]

    def draw(axes: Axes) -> None:
        for place, each in enumerate(known):
            low, value, high = (
                (bound or 0.0) / each.result.margin
                for bound in (each.result.harm_low, each.result.harm, each.result.harm_high)
            )
            axes.plot([low, high], [place, place], color=SEEN, linewidth=2)
            axes.plot([value], [place], color=SEEN, marker="o")
        axes.axvline(1.0, color=BOUND, linestyle=":")
        axes.set_yticks(
            range(len(known)), [_short(each.name) + (f"={each.part}" if each.part else "") for each in known]
        )
        axes.set_ylim(len(known) - 0.5, -0.5)
        axes.set(xlabel="harm, in margins", title="Guardrails")

    return svg_chart(draw, "Harm to each guardrail with its limits, as a share of its margin", len(known))


def slices_chart(slices: Sequence[SliceFigures]) -> str:
    """Draw the difference in each part of the units."""
    known = [each for each in slices if each.low is not None and each.high is not None]

    def draw(axes: Axes) -> None:
        for place, each in enumerate(known):
            axes.plot([each.low or 0.0, each.high or 0.0], [place, place], color=SEEN, linewidth=2)
            axes.plot([each.difference or 0.0], [place], color=SEEN, marker="o")
        axes.axvline(0.0, color=INK, alpha=0.5, linestyle=":")
        axes.set_yticks(range(len(known)), [f"{_short(each.slice)}={each.part}" for each in known])
        axes.set_ylim(len(known) - 0.5, -0.5)
        axes.set(xlabel="treatment less control", title="Parts of the units")

    return svg_chart(draw, "Difference in each part of the units with its limits", len(known))


def _short(name: str) -> str:
    """Return a slice without its view: axes are narrow."""
    head, dot, column = name.rpartition(".")
    return f"{head.rpartition(' ')[0]} {column}".strip() if dot else name


def distribution_chart(name: str, values: Distribution, arms: tuple[str, str]) -> str:
    """Draw where the requests' values lie, arm by arm."""

    def draw(axes: Axes) -> None:
        for label, shares, colour in (
            (arms[0], values.control, BOUND),
            (arms[1], values.treatment, SEEN),
        ):
            axes.stairs(shares, values.edges, color=colour, fill=True, alpha=0.4, label=label)
        axes.set(xlabel=name, ylabel="share of requests", title=name)
        axes.legend()

    return svg_chart(draw, f"Distribution of {name} in both arms")
