"""Which of a model's layers a student keeps."""

from itertools import pairwise

from limbeck.errors import ArchitectureError

_NAMED = ("first", "last", "spread")


def choose_layers(depth: int, num_layers: int, how: str) -> tuple[int, ...]:
    """Return the layers that a student keeps, ascending.

    *Spread* takes the first and the last layer and evenly spaced ones between them: number ``i``
    is layer ``i * (depth - 1) / (num_layers - 1)``, rounded to the nearest, halves up. A single
    layer is the first. 6 of 12 are those that DistilBERT was made from.

    Of a student deeper than its source, all of the source's layers are returned; the rest is new.

    Args:
        depth: Layers of the model that the student is cut from.
        num_layers: Layers of the student.
        how: "first", "last", "spread" or a list such as "0,2,5".

    Raises:
        ArchitectureError: If no layer is asked for, or the list cannot be what is kept.
    """
    if num_layers < 1:
        raise ArchitectureError(f"num_layers must be at least 1, but got {num_layers}; raise it")
    listed = parse_layers(how)
    if listed is not None:
        _check_list(listed, depth, num_layers)
        return listed
    kept = min(num_layers, depth)
    if how == "last":
        return tuple(range(depth - kept, depth))
    if how == "first" or kept == 1:
        return tuple(range(kept))
    gaps = kept - 1
    return tuple((2 * i * (depth - 1) + gaps) // (2 * gaps) for i in range(kept))


def parse_layers(how: str) -> tuple[int, ...] | None:
    """Return the layers that a text lists; None if it is "first", "last" or "spread".

    Raises:
        ArchitectureError: If it is neither, or the list does not ascend.
    """
    if how in _NAMED:
        return None
    parts = how.split(",")
    if not all(part.strip().isdecimal() for part in parts):
        raise ArchitectureError(
            'layers must be "first", "last", "spread" or a list such as "0,2,5", '
            f"but got {how!r}; change it"
        )
    layers = tuple(int(part) for part in parts)
    if any(low >= high for low, high in pairwise(layers)):
        raise ArchitectureError(f"listed layers must ascend, but got {how!r}; sort them")
    return layers


def _check_list(layers: tuple[int, ...], depth: int, num_layers: int) -> None:
    if layers[-1] >= depth:
        raise ArchitectureError(
            f"listed layers must be between 0 and {depth - 1}, the last one there is, but got "
            f"{layers[-1]}; leave it out, or take a deeper model"
        )
    if len(layers) != num_layers:
        raise ArchitectureError(
            "num_layers must be the number of the listed layers, but got "
            f"{num_layers} and {len(layers)} of them; change one"
        )
