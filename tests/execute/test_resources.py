"""What a run takes of a cluster."""

import pytest

from limbeck.errors import ConfigError
from limbeck.execute.resources import Resources, parse_resources


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["GPU=1"], Resources(gpus=1.0)),
        (["gpu=0.5,cpu=2"], Resources(cpus=2.0, gpus=0.5)),
        (["GPU=2", "tpu_slice=0.25"], Resources(gpus=2.0, others={"tpu_slice": 0.25})),
    ],
)
def test_resources_are_read(texts: list[str], expected: Resources) -> None:
    assert parse_resources(texts) == expected


def test_resources_are_shown_as_they_are_asked_for() -> None:
    assert str(parse_resources(["GPU=0.5", "disk=3"])) == "CPU=1, GPU=0.5, disk=3"


@pytest.mark.parametrize(
    ("text", "processes", "threads"),
    [
        ("CPU=4", 1, 4),
        ("GPU=0.5,CPU=0.5", 1, 1),
        ("GPU=1,CPU=3", 1, 3),
        ("GPU=2", 2, 1),
        ("GPU=4,CPU=11", 4, 2),
    ],
)
def test_every_gpu_has_a_process_and_these_share_the_cores(
    text: str, processes: int, threads: int
) -> None:
    resources = parse_resources([text])
    assert (resources.processes, resources.threads) == (processes, threads)


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (["GPU"], "must be NAME=AMOUNT, but got 'GPU'"),
        (["=1"], "must be NAME=AMOUNT, but got '=1'"),
        (["GPU=1,gpu=2"], "must name a resource once, but got 'GPU' twice"),
        (["GPU=many"], "must be positive amounts, but got 'GPU=many'"),
        (["GPU=nan"], "must be positive amounts, but got 'GPU=nan'"),
        (["GPU=0"], "must be positive amounts, but got 'GPU=0'"),
        (["GPU=1.5"], "GPU must be a fraction below 1 or a whole number, but got 'GPU=1.5'"),
    ],
)
def test_other_resources_are_refused(texts: list[str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        parse_resources(texts)
