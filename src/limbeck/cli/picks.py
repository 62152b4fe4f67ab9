"""Which runs to choose, as a table and as facts."""

from collections.abc import Sequence

from limbeck.analysis.picks import Pick
from limbeck.cli.tables import OUT, Facts, new_table


def print_picks(picks: Sequence[Pick]) -> None:
    """Print the picks, each with its rule, or why there is none."""
    names = list(
        dict.fromkeys(each.difference.metric.name for pick in picks for each in pick.compared)
    )
    headings = [heading for name in names for heading in (name, "vs baseline")]
    table = new_table("pick", "run", *headings)
    for pick in picks:
        number = "none" if pick.run is None else str(pick.run.number)
        table.add_row(pick.name, number, *pick.cells(names))
    OUT.print(table)
    for pick in picks:
        text = f"{pick.missing[:1].upper()}{pick.missing[1:]}." if pick.missing else pick.rule
        OUT.print(f"{pick.name}: {text}")
    if any(each.error for pick in picks for each in pick.compared):
        OUT.print(
            "± here is a 95 % confidence interval, as if the errors of both runs were independent. "
            "Picks are chosen\nby the scores that are shown, which flatters them: limbeck confirm "
            "tells by how much."
        )


def picks_facts(picks: Sequence[Pick]) -> list[Facts]:
    """Return the picks as JSON-ready facts."""
    return [
        {
            "pick": pick.name,
            "rule": pick.rule,
            "run": None if pick.run is None else pick.run.number,
            "missing": pick.missing,
            "vs_baseline": {
                each.difference.metric.name: {
                    "value": each.difference.value,
                    "absolute": each.difference.absolute,
                    "relative_percent": each.difference.relative,
                    "standard_error": each.error,
                    "margin_95": each.margin,
                }
                for each in pick.compared
            },
        }
        for pick in picks
    ]
