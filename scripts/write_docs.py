"""Write docs/study-file.md from the classes that read a study file."""

import inspect
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from limbeck.config import MEASURED, SEARCHABLE
from limbeck.config.tables import (
    PER_LAYER,
    ArtifactSettings,
    BudgetSettings,
    ChoiceSettings,
    DataSettings,
    FloatSettings,
    IntegerSettings,
    LatencySettings,
    MetricSettings,
    OptimizerSettings,
    PriorSettings,
    RangeSettings,
    Recipe,
    StoppingSettings,
    StudentSettings,
    TeacherSettings,
    TrainingSettings,
)

PAGE = Path(__file__).parents[1] / "docs" / "study-file.md"
HEAD = """# The study file

A study file is TOML: what to search for, and in what. `limbeck search study.toml` reads it once and
checks it whole before anything is computed. Unknown keys are refused with the nearest valid name.
Relative paths start at the study file's folder. Examples:
[a search on two CPU cores](../examples/squad2-minilm.toml),
[the quickstart](../examples/quickstart/study.toml),
[BERT-base on a GPU](../examples/bert-squad2.toml).

This page is written by `scripts/write_docs.py` from the code that reads the file.

## Top level

| key | meaning | default |
|---|---|---|
| `name` | of the study: letters, digits, `.`, `_` and `-` | needed |
| `task` | `"question-answering"` | needed |
| `preset` | `"structured"`, `"efficient-bert"`: `limbeck presets` | the first, if no `[space]` |
| `seed` | of the sampler | `0` |
| `constraints` | [rules between parameters](#conditions-and-constraints) | `[]` |
| `mirrors` | [where else runs are shown](artifacts.md#mirrors): `["wandb:PROJECT"]` | `[]` |

A preset's tables lie beneath the file's: what the file says itself takes their place, a parameter
of the search space as a whole, and `[metrics]` all together.
"""
RULES = """## Conditions and constraints

```toml
constraints = [
    "ffn_size <= 256 * num_heads",
    "alpha_ce > 0.5 or temperature < 4 and not importance == 'random'",
]

[space]
ffn_size = { type = "integer", low = 64, high = 1024, step = 64 }
num_heads = { type = "integer", low = 1, high = 12 }
alpha_ce = { type = "float", low = 0.0, high = 1.0 }
importance = { type = "choice", choices = ["magnitude", "random"] }

[space.temperature]
type = "float"
low = 1.0
high = 10.0
when.alpha_ce = { at_least = 0.1 }

[space.pruning_seed]
type = "integer"
low = 0
high = 99
when.importance = ["random"]
```

A parameter with `when` depends on others: it is searched where each of them has one of the values,
or is in the range. Elsewhere it is inactive: a run does not have it, and the student is made with
what `[student]` or `[recipe]` says. So it is where one that it depends on is inactive.

No run breaks a constraint, and the baseline must not. A constraint compares with `<`, `<=`, `>`,
`>=`, `==` and `!=` what is made of searched parameters, numbers, `+`, `-`, `*`, `/` and brackets,
or a choice with one of its texts; `and`, `or` and `not` join comparisons. Where one of its
parameters is inactive, it does not apply. Where it would divide by zero, it is broken.
"""
OPTIMIZER = """[What it does](optimizer.md). May change when a search goes on.

What a sampler does not heed is refused: all but `sampler` is for `"bayesian"`, `initial_runs` for
`"sigopt"` too."""
TABLES: tuple[tuple[str, type[BaseModel], str], ...] = (
    ("[teacher]", TeacherSettings, ""),
    ("[data]", DataSettings, ""),
    ("[student]", StudentSettings, "Where a parameter is searched, this is the baseline's value."),
    ("[recipe]", Recipe, "Where a parameter is searched, this is the baseline's value."),
    ("[training]", TrainingSettings, "May change when a search goes on."),
    ("[latency]", LatencySettings, "[More of it](students.md#latency-where-students-serve)."),
    ("[metrics.NAME]", MetricSettings, ""),
    ('[space.NAME] with type = "float"', FloatSettings, ""),
    ('[space.NAME] with type = "integer"', IntegerSettings, ""),
    ('[space.NAME] with type = "choice"', ChoiceSettings, ""),
    ("prior, of a number", PriorSettings, ""),
    ("range, of a number in a condition", RangeSettings, ""),
    ("[optimizer]", OptimizerSettings, OPTIMIZER),
    ("[budget]", BudgetSettings, "May change when a search goes on."),
    (
        "[stopping]",
        StoppingSettings,
        "[More of it](early-stopping.md). May change when a search goes on.",
    ),
    (
        "[artifacts]",
        ArtifactSettings,
        "[More of it](artifacts.md). May change when a search goes on.",
    ),
)


def page() -> str:
    """Return the page's text."""
    lines = [HEAD]
    for title, table, note in TABLES:
        lines += [f"## `{title}`", "", f"{inspect.getdoc(table)} {note}".strip(), ""]
        lines += ["| key | meaning | default |", "|---|---|---|", *rows(table), ""]
    lines += [
        RULES,
        "## What can be searched",
        "",
        ", ".join(f"`{name}`" for name in SEARCHABLE) + ".",
        "",
        "Of a single layer, counted from 0 in the student: "
        + ", ".join(f"`{name}_0`, `{name}_1`" for name in PER_LAYER)
        + ", and so on.",
        "",
        "## Metrics",
        "",
        "Known metrics follow from the parameters; the optimizer has them before training.",
        "",
        "| metric | goal | unit | known |",
        "|---|---|---|---|",
    ]
    for name, facts in MEASURED.items():
        lines.append(f"| `{name}` | {facts.goal} | {facts.unit} | {'yes' if facts.known else ''} |")
    return "\n".join(lines) + "\n"


def rows(table: type[BaseModel]) -> Iterator[str]:
    """Yield a line for each key of a table."""
    for name, field in table.model_fields.items():
        yield f"| `{name}` | {meaning(field)} | {default(field)} |"


def meaning(field: FieldInfo) -> str:
    """Return a field's description, and its choices if it has any."""
    choices = [
        f'`"{choice}"`'
        for kind in (field.annotation, *get_args(field.annotation))
        if get_origin(kind) is Literal
        for choice in get_args(kind)
    ]
    assert field.description, field
    return ": ".join(part for part in (", ".join(choices), field.description) if part)


def default(field: FieldInfo) -> str:
    """Return a field's default as it is written in TOML."""
    if field.default_factory is not None:
        return "as in `[recipe]`, but `epochs = 2.0`"
    if field.default is PydanticUndefined:
        return "needed"
    if field.default is None or field.default == {}:
        return ""
    return f"`{json.dumps(field.default)}`"


if __name__ == "__main__":
    if "--check" in sys.argv:
        if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != page():
            sys.exit(f"{PAGE} must say what the code reads; run scripts/write_docs.py")
    else:
        PAGE.write_text(page(), encoding="utf-8")
