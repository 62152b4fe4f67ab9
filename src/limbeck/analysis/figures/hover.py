"""What is said about a run when the pointer is over its marker."""

from collections.abc import Callable, Sequence

from limbeck.analysis.figures.style import plain
from limbeck.metrics import Metric
from limbeck.runs import Run, RunState
from limbeck.wording import format_value, short_value

HOVER = "%{hovertext}<extra></extra>"
"""The hover template of markers that have such texts."""

_IN_A_LINE = 4


def place_template(across: Metric, up: Metric) -> str:
    """Return the hover template of markers too many for a text each: the run, and where it is.

    Args:
        across: Metric of the horizontal axis; its format is that of the axis.
        up: Of the vertical one.
    """

    def line(metric: Metric, value: str) -> str:
        # A name is no part of the template.
        name, unit = (plain(text).replace("%{", "% {") for text in (metric.name, metric.unit))
        return f"{name} {value} {unit}".rstrip()

    lines = ["<b>run %{customdata[0]}</b>", line(across, "%{x}"), line(up, "%{y}")]
    return "<br>".join(lines) + "<extra></extra>"


def hover_writer(metrics: Sequence[Metric]) -> Callable[[Run], str]:
    """Return what writes the text of a run: number, state, values with errors, parameters.

    Args:
        metrics: Those whose values are shown, where the run has them.
    """
    names = {metric.name: plain(metric.name) for metric in metrics}

    def write(run: Run) -> str:
        lines = [f"<b>run {run.number}</b> {_state(run)}"]
        for metric in metrics:
            if run.state is RunState.STOPPED and metric.name in run.forecasts:
                forecast = run.forecasts[metric.name]
                shown = f"{format_value(forecast.mean, metric, forecast.std)} (forecast)"
            elif metric.name in run.values:
                shown = format_value(run.values[metric.name], metric, run.errors.get(metric.name))
            else:
                continue
            lines.append(f"{names[metric.name]} {shown}")
        return "<br>".join([*lines, *_parameter_lines(run)])

    return write


def _state(run: Run) -> str:
    reason = plain(f": {run.reason}") if run.reason else ""
    return f"(baseline) {run.state}{reason}" if run.number == 0 else f"{run.state}{reason}"


def _parameter_lines(run: Run) -> list[str]:
    texts = [
        plain(f"{name} {short_value(value)}", limit=60) for name, value in run.parameters.items()
    ]
    return [" · ".join(texts[at : at + _IN_A_LINE]) for at in range(0, len(texts), _IN_A_LINE)]
