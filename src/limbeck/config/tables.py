"""The study file's tables and keys, each with its rule and default."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag


class Table(BaseModel):
    """A TOML table: no unknown keys, no coercion from text to number, no change after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Recipe(Table):
    """The training hyperparameters that make a student.

    Defaults are those of the script that distilled DistilBERT on SQuAD, but for warm-up, batch size
    and seed, and for the dropouts: the best students of the 2020 experiment had them near 0.
    """

    learning_rate: float = Field(default=5e-5, gt=0, description="peak learning rate of AdamW")
    beta_1: float = Field(default=0.9, ge=0, lt=1, description="AdamW's decay of the first moment")
    beta_2: float = Field(
        default=0.999, ge=0, lt=1, description="AdamW's decay of the second moment"
    )
    adam_epsilon: float = Field(default=1e-8, gt=0, description="AdamW's epsilon")
    weight_decay: float = Field(
        default=0.0, ge=0, description="on matrices only, not on biases and norms"
    )
    warmup_steps: float = Field(
        default=0.1, ge=0, description="linear warm-up; below 1 a share of all steps"
    )
    alpha_ce: float = Field(
        default=0.5, ge=0, le=1, description="weight of the teacher's soft targets"
    )
    temperature: float = Field(default=2.0, gt=0, description="softens teacher and student alike")
    alpha_hidden: float = Field(
        default=0.0,
        ge=0,
        description="weight of the teacher's hidden states; asks it at every step",
    )
    alpha_relation: float = Field(
        default=0.0,
        ge=0,
        description="weight of MiniLM's attention relations; needs the teacher at every step",
    )
    dropout: float = Field(default=0.0, ge=0, le=1, description="of hidden states")
    attention_dropout: float = Field(
        default=0.0, ge=0, le=1, description="of attention weights; any doubles the time on a CPU"
    )
    qa_dropout: float = Field(default=0.0, ge=0, le=1, description="before the answer head")
    batch_size: int = Field(default=32, ge=1, description="windows per optimizer step")
    epochs: float = Field(default=3.0, gt=0, description="passes over the training windows")
    steps: int | None = Field(
        default=None, ge=1, description="optimizer steps; take the place of epochs"
    )
    keep: Literal["last", "best"] = Field(
        default="last",
        description="the weights after the last step, or those that scored best on the way",
    )
    gradient_clip: float = Field(default=1.0, gt=0, description="largest norm of the gradient")
    seed: int = Field(default=0, ge=0, description="of data order, dropout and new weights")


def _one_or_each(value: object) -> str:
    return "each" if isinstance(value, list) else "one"


Heads = Annotated[int, Field(ge=0)]
Neurons = Annotated[int, Field(ge=1)]


class StudentSettings(Table):
    """The student's architecture; what is left out is as in the model it is cut from."""

    weights: str | None = Field(
        default=None, min_length=1, description="model that it is cut from; the teacher if left out"
    )
    num_layers: int | None = Field(
        default=None,
        ge=1,
        description="half of the layers if left out; beyond all, new ones",
    )
    layers: str = Field(
        default="first",
        pattern=r"^(first|last|spread|\d+(,\d+)*)$",
        description='which are kept: `"first"`, `"last"`, `"spread"`, or a list as `"0,2,5"`',
    )
    num_heads: (
        Annotated[
            Annotated[Heads, Tag("one")] | Annotated[list[Heads], Tag("each")],
            Discriminator(_one_or_each),
        ]
        | None
    ) = Field(
        default=None, description="attention heads: of every layer, or a list of each layer's"
    )
    ffn_size: (
        Annotated[
            Annotated[Neurons, Tag("one")] | Annotated[list[Neurons], Tag("each")],
            Discriminator(_one_or_each),
        ]
        | None
    ) = Field(default=None, description="feed-forward neurons of every layer, or a list")
    importance: Literal["magnitude", "fisher", "first_order", "random", "first"] = Field(
        default="magnitude",
        description="which heads and neurons are kept: by weights, gradients, chance or place",
    )
    importance_rounds: int = Field(
        default=1, ge=1, description="cut in so many steps, measuring anew before each"
    )
    pruning_seed: int = Field(default=0, ge=0, description='for importance = "random"')
    initializer_range: float = Field(
        default=0.02, ge=0, description="standard deviation of new weights: layers, answer head"
    )
    vocabulary: Literal["full", "train"] = Field(
        default="full", description="all tokens, or those of the train questions"
    )
    embedding_rank: int | None = Field(
        default=None, ge=1, description="low-rank word embeddings; as they are if left out"
    )


class TeacherRecipe(Recipe):
    """How `limbeck teach` fine-tunes a plain encoder: hard labels only."""

    alpha_ce: Literal[0] = Field(default=0, description="a teacher has no teacher")
    alpha_hidden: Literal[0] = Field(default=0, description="a teacher has no teacher")
    alpha_relation: Literal[0] = Field(default=0, description="a teacher has no teacher")
    epochs: float = Field(default=2.0, gt=0, description="passes over the training windows")


class TeacherSettings(Table):
    """The fine-tuned model that students are cut from and taught by."""

    model: str = Field(
        min_length=1, description="hub id or folder; a plain encoder is taught first"
    )
    recipe: TeacherRecipe = Field(default_factory=TeacherRecipe, description="for `limbeck teach`")


class DataSettings(Table):
    """Questions, and how they are cut into windows."""

    train: str = Field(min_length=1, description="hub dataset:split, or a SQuAD .json or .json.gz")
    dev: str | None = Field(
        default=None,
        min_length=1,
        description="the questions that score the students; held out of train if left out",
    )
    held_out: float = Field(
        default=0.1, gt=0, lt=1, description="share of train held out, whole articles, if no dev"
    )
    train_questions: int | None = Field(
        default=None, ge=1, description="a random subset; all if left out"
    )
    dev_questions: int | None = Field(
        default=None, ge=1, description="a random subset; all if left out"
    )
    first_questions: int | None = Field(
        default=None,
        ge=1,
        description="answered first, and all only by students that may matter; all if left out",
    )
    test: str | None = Field(
        default=None,
        min_length=1,
        description="questions that select nothing, for `limbeck confirm`",
    )
    score_on: Literal["dev", "test"] = Field(
        default="dev", description="what scores the students; `limbeck confirm` takes test"
    )
    test_questions: int | None = Field(
        default=None, ge=1, description="a random subset; all if left out"
    )
    max_length: int = Field(default=384, ge=16, description="tokens in a window")
    doc_stride: int = Field(
        default=128, ge=1, description="tokens between the starts of two windows"
    )
    max_query_length: int = Field(default=64, ge=1, description="tokens of a question")
    max_answer_length: int = Field(default=30, ge=1, description="tokens of an answer")
    seed: int = Field(default=0, ge=0, description="of the subsets")


Runtime: TypeAlias = Literal["pytorch", "onnx", "onnx-int8"]


class LatencySettings(Table):
    """How `latency_ms` and `latency_p90_ms` are measured: as the students will be served."""

    runtime: Runtime = Field(
        default="pytorch",
        description="what computes; ONNX needs `limbeck[onnx]`, and is measured on the CPU",
    )
    device: Literal["training", "cpu"] = Field(
        default="training", description="where PyTorch computes: where students train, or the CPU"
    )
    threads: int | None = Field(
        default=None, ge=1, description="CPU threads; as many as the run has if left out"
    )

    @property
    def on_cpu(self) -> bool:
        """Whether it is the CPU that is measured, wherever students train."""
        return self.device == "cpu" or self.runtime != "pytorch"


class TrainingSettings(Table):
    """How runs are carried out."""

    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field(
        default="auto", description="auto: bf16 where the device computes in it"
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        default="auto", description="auto: the fastest"
    )
    micro_batch: int | None = Field(
        default=None,
        ge=1,
        description="windows at once; a larger batch accumulates gradients over several",
    )
    log_every: int = Field(
        default=10, ge=1, description="steps between points of loss and learning rate"
    )
    evaluate_every: int | None = Field(
        default=None, ge=1, description="steps between scores on the way"
    )
    evaluate_questions: int = Field(
        default=200, ge=1, description="questions of the scores on the way"
    )
    checkpoint_every: int = Field(default=100, ge=1, description="steps between checkpoints")


def _number_or_text(value: object) -> str:
    return "text" if isinstance(value, str) else "number"


class MetricSettings(Table):
    """What a metric is for. Without any such table, `exact` and `num_parameters` are optimized."""

    goal: Literal["maximize", "minimize"] | None = Field(
        default=None, description="the natural one if left out"
    )
    role: Literal["optimize", "constrain", "store"] = Field(
        default="optimize", description="steers the search, bounds it, or is only kept"
    )
    threshold: (
        Annotated[
            Annotated[float, Tag("number")] | Annotated[Literal["auto"], Tag("text")],
            Discriminator(_number_or_text),
        ]
        | None
    ) = Field(
        default=None,
        description='worst value of use, the reference point; `"auto"`: 2 errors above no answers',
    )

    def at(self, threshold: float) -> Self:
        """Return the same with a threshold that is settled."""
        return self.model_copy(update={"threshold": threshold})


class PriorSettings(Table):
    """A belief about where good values lie; it counts the less, the more runs there are."""

    near: float = Field(description="the value that is believed in most")
    spread: float = Field(gt=0, description="standard deviation, as a share of the range")


class RangeSettings(Table):
    """Where another parameter, a number, has to be."""

    at_least: float | None = Field(default=None, description="smallest value; any if left out")
    at_most: float | None = Field(default=None, description="largest value; any if left out")


def _values_or_range(value: object) -> str:
    return "values" if isinstance(value, list) else "range"


Conditions = dict[
    str,
    Annotated[
        Annotated[list[bool | int | float | str], Tag("values")]
        | Annotated[RangeSettings, Tag("range")],
        Discriminator(_values_or_range),
    ],
]

_WHEN: Any = Field(default={}, description="only where other parameters have these values")
_INERT = Field(default=False, description="searched, but without effect: to repeat an experiment")


class FloatSettings(Table):
    """A searched real number."""

    type: Literal["float"] = Field(description="the kind of parameter")
    low: float = Field(description="smallest value")
    high: float = Field(description="largest value")
    log: bool = Field(default=False, description="equal factors are equally far apart")
    step: float | None = Field(default=None, description="distance of neighbouring values")
    prior: PriorSettings | None = Field(default=None, description="where good values may lie")
    when: Conditions = _WHEN
    inert: bool = _INERT


class IntegerSettings(Table):
    """A searched whole number."""

    type: Literal["integer"] = Field(description="the kind of parameter")
    low: int = Field(description="smallest value")
    high: int | None = Field(
        default=None,
        description="largest value; the teacher's if left out (num_layers, num_heads, ffn_size)",
    )
    log: bool = Field(default=False, description="equal factors are equally far apart")
    step: int = Field(default=1, description="distance of neighbouring values")
    prior: PriorSettings | None = Field(default=None, description="where good values may lie")
    when: Conditions = _WHEN
    inert: bool = _INERT


class ChoiceSettings(Table):
    """One of a few values."""

    type: Literal["choice"] = Field(description="the kind of parameter")
    choices: list[bool | int | float | str] = Field(description="the values")
    ordered: bool = Field(default=False, description="neighbours in choices are alike")
    when: Conditions = _WHEN
    inert: bool = _INERT


ParameterSettings = Annotated[
    FloatSettings | IntegerSettings | ChoiceSettings, Field(discriminator="type")
]


class OptimizerSettings(Table):
    """Who chooses the next student."""

    sampler: Literal["bayesian", "sigopt", "quasirandom"] = Field(
        default="bayesian",
        description="learns from the runs, does so by SigOpt's schedule, or spreads them evenly",
    )
    initial_runs: int | None = Field(
        default=None, ge=1, description="runs before the model is asked"
    )
    noise: Literal["learned", "given"] = Field(
        default="learned", description="how much there is: learned, or the runs' standard errors"
    )
    per_cost: bool = Field(
        default=False, description="seek improvement per second of a run, not per run"
    )
    earlier: str | None = Field(
        default=None,
        min_length=1,
        description="a study in the same store that this one starts from: other data, say",
    )


class BudgetSettings(Table):
    """How much is spent."""

    runs: int = Field(default=24, ge=1, description="runs in all, the baseline among them")
    workers: int = Field(default=1, ge=1, description="runs at a time")
    control: bool = Field(
        default=False,
        description="one more run: the baseline without distillation, on labels only",
    )
    retries: int = Field(default=2, ge=0, description="how often a run that failed is tried again")
    silent_minutes: float = Field(
        default=30.0, gt=0, description="a run that tells nothing for so long has failed"
    )
    run_minutes: float | None = Field(
        default=None, gt=0, description="a run that takes longer has failed; no limit if left out"
    )


class ArtifactSettings(Table):
    """Where the files that runs leave behind are kept, and which of them."""

    url: str | None = Field(
        default=None,
        min_length=1,
        description="folder, or URL as `s3://bucket/prefix`, they move to; the home if left out",
    )
    keep_weights: Literal["frontier", "all", "none"] = Field(
        default="frontier",
        description="runs whose model is kept: the frontier and the baseline, all, none",
    )


class StoppingSettings(Table):
    """When a run whose scores on the way say that it will hardly matter is stopped."""

    chance: float = Field(
        default=0.05, ge=0, lt=1, description="stopped below this chance to matter; 0: never"
    )
    after: float = Field(
        default=0.6, ge=0, le=1, description="share of its steps that a run has in any case"
    )
    runs: int = Field(default=10, ge=2, description="finished runs to learn from before any is")
    spare: float = Field(
        default=0.05, ge=0, le=1, description="share of runs that never is, to keep the rule honest"
    )


_NEVER_SEARCHED = ("seed", "gradient_clip", "steps", "keep")
SEARCHABLE: Mapping[str, type[Table]] = {
    **{name: Recipe for name in Recipe.model_fields if name not in _NEVER_SEARCHED},
    **dict.fromkeys(StudentSettings.model_fields, StudentSettings),
}
"""Every parameter that a space may hold, and the table that says what it may be."""

PER_LAYER = ("num_heads", "ffn_size")
"""Parameters that may also be searched for one of the student's layers: ``num_heads_0``."""


class StudyFile(Table):
    """The study file's keys, as written."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")
    task: Literal["question-answering"]
    preset: Literal["structured", "efficient-bert"] | None = None
    seed: int = Field(default=0, ge=0, description="of the sampler")
    teacher: TeacherSettings
    data: DataSettings
    student: StudentSettings = StudentSettings()
    recipe: Recipe = Recipe()
    training: TrainingSettings = TrainingSettings()
    latency: LatencySettings = LatencySettings()
    metrics: dict[str, MetricSettings] = {
        "exact": MetricSettings(),
        "num_parameters": MetricSettings(),
    }
    space: dict[str, ParameterSettings] = Field(min_length=1)
    constraints: list[str] = []
    optimizer: OptimizerSettings = OptimizerSettings()
    budget: BudgetSettings = BudgetSettings()
    stopping: StoppingSettings = StoppingSettings()
    artifacts: ArtifactSettings = ArtifactSettings()
    mirrors: list[Annotated[str, Field(pattern=r"^(mlflow|tensorboard|wandb):.+$")]] = []
