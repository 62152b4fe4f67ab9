import json
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.amp import GradScaler
from torch.optim import AdamW
from typing_extensions import override

from limbeck.distill.checkpoint import (
    BestWeights,
    Checkpoint,
    Progress,
    State,
    remove_checkpoint,
)
from limbeck.errors import DataError

PROGRESS = Progress(step=3, seconds=1.25, losses=(0.1, 2.5))
INPUTS = torch.linspace(-1, 1, 12).reshape(3, 4)


class Net(nn.Module):
    """Two layers and a parameter that no gradient ever reaches."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, 5), nn.Dropout(0.5), nn.Linear(5, 1))
        self.unused = nn.Parameter(torch.zeros(0, 4))

    @override
    def forward(self, inputs: Tensor) -> Tensor:
        answer: Tensor = self.layers(inputs)
        return answer


class Tied(nn.Module):
    """A model that cannot be saved: two of its weights are one."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Linear(2, 2)
        self.other = self.one


def new(seed: int) -> State:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = Net()
    return state_of(net)


def state_of(model: nn.Module) -> State:
    optimizer = AdamW(model.parameters(), lr=0.1, fused=True)
    return State(model, optimizer, GradScaler("cpu", init_scale=2.0**10, growth_interval=2))


def learn(state: State, steps: range) -> None:
    for step in steps:
        with torch.random.fork_rng():
            torch.manual_seed(step)
            loss = state.model(INPUTS).square().sum()
        state.scaler.scale(loss).backward()
        state.scaler.step(state.optimizer)
        state.scaler.update()
        state.optimizer.zero_grad()


def save(path: Path, *, identity: str = "this run") -> State:
    """Save a net after three steps."""
    state = new(seed=0)
    learn(state, range(3))
    Checkpoint(path, identity).save(state, PROGRESS)
    return state


def weights(state: State) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in state.model.state_dict().items()}


def assert_equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert one.keys() == other.keys()
    assert all(torch.equal(tensor, other[name]) for name, tensor in one.items())


def test_training_goes_on_as_if_it_had_never_stopped(tmp_path: Path) -> None:
    # Without weights, moments and step count alike, they part; the scale grows at every other step.
    state = save(tmp_path / "c.safetensors")
    learn(state, range(3, 7))
    other = new(seed=1)
    progress = Checkpoint(tmp_path / "c.safetensors", "this run").load(other)
    learn(other, range(3, 7))
    assert progress == PROGRESS
    assert_equal(weights(other), weights(state))
    assert other.scaler.get_scale() == state.scaler.get_scale() == 2.0**13


def test_checkpoint_of_something_else_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "c.safetensors"
    save(path, identity="that run")
    state = new(seed=1)
    before = weights(state)
    assert Checkpoint(path, "this run").load(state) is None
    assert Checkpoint(tmp_path / "no.safetensors", "that run").load(state) is None
    assert_equal(weights(state), before)
    assert not state.optimizer.state


def test_failed_save_leaves_the_last_checkpoint(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "c.safetensors", "this run")
    saved = save(checkpoint.path)
    with pytest.raises(RuntimeError, match="share memory"):
        checkpoint.save(state_of(Tied()), PROGRESS)
    state = new(seed=1)
    assert checkpoint.load(state) == PROGRESS
    assert_equal(weights(state), weights(saved))
    assert [file.name for file in tmp_path.iterdir()] == ["c.safetensors"]


def test_file_is_plain_numbers_and_a_json_header(tmp_path: Path) -> None:
    path = tmp_path / "c.safetensors"
    save(path)
    content = path.read_bytes()
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    metadata = header.pop("__metadata__")
    assert metadata.keys() == {"identity", "scaler", "step", "seconds", "losses"}
    assert {entry["dtype"] for entry in header.values()} == {"F32"}
    assert len(content) == 8 + size + max(entry["data_offsets"][1] for entry in header.values())


@pytest.mark.parametrize("keep", [0, 4, 100, -1])
def test_damaged_checkpoint_is_named_with_the_way_out(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "c.safetensors"
    save(path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataError, match=r"must be whole, but .*; delete it to start the run anew$"):
        Checkpoint(path, "this run").load(new(seed=1))


@pytest.mark.parametrize(
    ("scores", "best"),
    [([1.0, 3.0, 2.0], 1), ([3.0, 3.0, 1.0], 0), ([-3.0, -2.0, -1.0], 2), ([0.0], 0)],
)
def test_best_weights_are_the_first_of_those_with_the_highest_score(
    tmp_path: Path, scores: list[float], best: int
) -> None:
    checkpoint = Checkpoint(tmp_path / "c.safetensors", "this run")
    states = [new(seed=number) for number in range(len(scores))]
    kept = BestWeights(checkpoint, score="f1")
    for state, score in zip(states, scores, strict=True):
        kept.offer(state.model, {"exact": -score, "f1": score})
    other = new(seed=9)
    kept.restore(other.model)
    assert_equal(weights(other), weights(states[best]))


def test_best_weights_outlive_an_interruption_but_only_for_the_same_run_and_score(
    tmp_path: Path,
) -> None:
    path = tmp_path / "c.safetensors"
    first = new(seed=0)
    BestWeights(Checkpoint(path, "this run"), score="f1").offer(first.model, {"f1": 5.0})
    kept = BestWeights(Checkpoint(path, "this run"), score="f1")
    kept.offer(new(seed=1).model, {"f1": 4.0})
    other = new(seed=9)
    kept.restore(other.model)
    assert_equal(weights(other), weights(first))
    for identity, score in (("that run", "f1"), ("this run", "exact")):
        kept = BestWeights(Checkpoint(path, identity), score=score)
        with pytest.raises(DataError, match="the best weights must be there; start the run anew"):
            kept.restore(other.model)


def test_checkpoint_and_best_weights_are_removed_together(tmp_path: Path) -> None:
    path = tmp_path / "c.safetensors"
    (tmp_path / "log.txt").touch()
    remove_checkpoint(path)
    state = save(path)
    BestWeights(Checkpoint(path, "this run"), score="f1").offer(state.model, {"f1": 5.0})
    assert len(list(tmp_path.iterdir())) == 3
    remove_checkpoint(path)
    assert [file.name for file in tmp_path.iterdir()] == ["log.txt"]
