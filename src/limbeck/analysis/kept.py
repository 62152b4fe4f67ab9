"""What a student keeps of the model that it is cut from, as far as it is known without weights."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import try_to_load_from_cache

from limbeck.artifacts import WEIGHTS, local_path
from limbeck.config import StudyConfig
from limbeck.config.tables import StudentSettings
from limbeck.errors import ArchitectureError, ModelError
from limbeck.files import is_folder
from limbeck.runs import Run
from limbeck.space import Value
from limbeck.students.checkpoint import read_config
from limbeck.students.layers import choose_layers, parse_layers
from limbeck.students.shape import Shape


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One layer of a student.

    Attributes:
        source: Which layer of the source it is cut from, from 0 on; None if it is a new one, or
            nobody knows.
        heads: Attention heads that it has.
        kept_heads: Which of the source's layer; None if that is not known. A new layer has none.
        neurons: Feed-forward neurons that it has.
    """

    source: int | None
    heads: int
    kept_heads: tuple[int, ...] | None
    neurons: int


@dataclass(frozen=True, kw_only=True)
class Kept:
    """What a student is made of, beside the model that it is cut from.

    Attributes:
        layers: The student's, from the first one on.
        vocab_size: Tokens that it knows; None if that is not known.
        embedding_rank: Rank of its word embeddings; 0 if they are one table.
        source: Shape of the model that it is cut from; None if its files are not here.
        source_name: That model's name, or the last part of its folder's.
        measured: Whether the run's own model said so, rather than its parameters.
    """

    layers: tuple[Layer, ...]
    vocab_size: int | None
    embedding_rank: int
    source: Shape | None
    source_name: str
    measured: bool


def what_is_kept(run: Run, config: StudyConfig) -> Kept | None:
    """Return what a run's student is made of.

    The run's own model says it, where its files are on this machine; otherwise its parameters do,
    as far as they go. Weights are not read, and nothing is downloaded.

    Returns:
        None if neither says enough: the model that it is cut from is not here, and the study file
        leaves widths or depth to it.
    """
    settings = config.student(run.parameters)
    name = settings.weights or config.file.teacher.model
    source = _source_shape(config.model_path(name))
    fields = _model_fields(run)
    if fields is not None:
        return _from_model(fields, source, name)
    try:
        return _from_parameters(settings, config.live(run.parameters), source, name)
    except ArchitectureError:
        return None  # There can be no such student, which the run's state says.


def _from_model(fields: Mapping[str, Any], source: Shape | None, name: str) -> Kept:
    shape = Shape.from_config(fields)
    layers, heads = fields.get("kept_layers", ()), fields.get("kept_heads", ())
    return Kept(
        layers=tuple(
            Layer(
                source=_at(layers, index),
                heads=count,
                kept_heads=tuple(sorted(_at(heads, index) or ())),
                neurons=neurons,
            )
            for index, (count, neurons) in enumerate(
                zip(shape.heads_per_layer, shape.ffn_per_layer, strict=True)
            )
        ),
        vocab_size=shape.vocab_size,
        embedding_rank=shape.embedding_rank,
        source=source,
        source_name=_short(name),
        measured=True,
    )


def _from_parameters(
    settings: StudentSettings, live: Mapping[str, Value], source: Shape | None, name: str
) -> Kept | None:
    depth = settings.num_layers or len(parse_layers(settings.layers) or ())
    if not depth and source:
        depth = (source.num_layers + 1) // 2
    kept = choose_layers(source.num_layers, depth, settings.layers) if source else ()
    own_heads = _own(source.heads_per_layer, kept, depth) if source else None
    own_neurons = _own(source.ffn_per_layer, kept, depth) if source else None
    heads = _widths("num_heads", settings.num_heads, depth=depth, own=own_heads, live=live)
    neurons = _widths("ffn_size", settings.ffn_size, depth=depth, own=own_neurons, live=live)
    if not (heads and neurons):
        return None
    return Kept(
        layers=tuple(
            _layer(settings, source, kept, index, width)
            for index, width in enumerate(zip(heads, neurons, strict=True))
        ),
        vocab_size=source.vocab_size if source and settings.vocabulary == "full" else None,
        embedding_rank=settings.embedding_rank or (source.embedding_rank if source else 0),
        source=source,
        source_name=_short(name),
        measured=False,
    )


def _widths(
    name: str,
    given: int | list[int] | None,
    *,
    depth: int,
    own: Sequence[int] | None,
    live: Mapping[str, Value],
) -> list[int] | None:
    """Return heads or neurons of each layer, as students are built; None if nothing says them.

    Args:
        name: Of the setting, to which those of single layers add the layer's number.
        given: What the study file, or the run, says of all layers.
        depth: Layers of the student.
        own: The source's, of the layers that are kept and as many widest ones as are new.
        live: The run's parameters that have an effect.
    """
    if given is None:
        if own is None:
            return None
        given = list(own)
    widths = [given] * depth if isinstance(given, int) else given
    if len(widths) != depth:
        return None
    return [int(live.get(f"{name}_{index}", width)) for index, width in enumerate(widths)]


def _own(widths: Sequence[int], kept: Sequence[int], depth: int) -> list[int]:
    """Return the source's widths of the kept layers, and its largest for each new one."""
    return [widths[layer] for layer in kept] + [max(widths)] * (depth - len(kept))


def _layer(
    settings: StudentSettings,
    source: Shape | None,
    kept: Sequence[int],
    index: int,
    width: tuple[int, int],
) -> Layer:
    """Return a student's layer; which heads are kept only where no weights decide it."""
    heads, neurons = width
    if source is None:
        return Layer(source=None, heads=heads, kept_heads=None, neurons=neurons)
    if index >= len(kept):
        return Layer(source=None, heads=heads, kept_heads=(), neurons=neurons)
    known = heads in (0, source.heads_per_layer[kept[index]]) or settings.importance == "first"
    return Layer(
        source=kept[index],
        heads=heads,
        kept_heads=tuple(range(heads)) if known else None,
        neurons=neurons,
    )


def _source_shape(model: str) -> Shape | None:
    """Return the shape of a model whose configuration is on this machine.

    Args:
        model: Folder or hub id.
    """
    if is_folder(Path(model)):
        folder = Path(model)
    else:
        cached = try_to_load_from_cache(model, "config.json")
        if not isinstance(cached, str):
            return None
        folder = Path(cached).parent
    fields = _read(folder)
    return None if fields is None else Shape.from_config(fields)


def _model_fields(run: Run) -> Mapping[str, Any] | None:
    """Return the configuration that a run's model was saved with; None if it is not here."""
    model = next((artifact for artifact in run.artifacts if artifact.name == WEIGHTS), None)
    folder = None if model is None else local_path(model.path)
    return None if folder is None else _read(folder)


def _read(folder: Path) -> Mapping[str, Any] | None:
    """Return a model's configuration; None if it is gone or cannot be read."""
    try:
        return read_config(folder)
    except (ModelError, OSError):
        return None


def _at(items: Sequence[Any], index: int) -> Any:
    return items[index] if index < len(items) else None


def _short(model: str) -> str:
    return Path(model).name if is_folder(Path(model)) else model
