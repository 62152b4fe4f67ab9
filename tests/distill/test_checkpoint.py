import json
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.optim import AdamW
from typing_extensions import override

from limbeck.distill.checkpoint import Progress, load_checkpoint, save_checkpoint
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


def new(seed: int) -> tuple[Net, AdamW]:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = Net()
    return net, AdamW(net.parameters(), lr=0.1, fused=True)


def learn(net: Net, optimizer: AdamW, steps: int) -> None:
    for _ in range(steps):
        net(INPUTS).square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()


def save(path: Path, *, identity: str = "this run") -> Net:
    """Save a net after three steps."""
    net, optimizer = new(seed=0)
    learn(net, optimizer, 3)
    save_checkpoint(path, net, optimizer, progress=PROGRESS, identity=identity)
    return net


def test_training_goes_on_as_if_it_had_never_stopped(tmp_path: Path) -> None:
    # Dropout is on: without weights, moments, step count and random state alike, they part.
    net, optimizer = new(seed=0)
    with torch.random.fork_rng():
        torch.manual_seed(5)
        learn(net, optimizer, 3)
        save_checkpoint(
            tmp_path / "c.safetensors", net, optimizer, progress=PROGRESS, identity="this run"
        )
        learn(net, optimizer, 4)
    other, other_optimizer = new(seed=1)
    with torch.random.fork_rng():
        progress = load_checkpoint(
            tmp_path / "c.safetensors", other, other_optimizer, identity="this run"
        )
        learn(other, other_optimizer, 4)
    assert progress == PROGRESS
    for one, two in zip(net.parameters(), other.parameters(), strict=True):
        assert torch.equal(one, two)


def test_checkpoint_of_something_else_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "c.safetensors"
    save(path, identity="that run")
    net, optimizer = new(seed=1)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    assert load_checkpoint(path, net, optimizer, identity="this run") is None
    assert load_checkpoint(tmp_path / "no.safetensors", net, optimizer, identity="that run") is None
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())
    assert not optimizer.state


def test_failed_save_leaves_the_last_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "c.safetensors"
    saved = save(path)
    tied = Tied()
    with pytest.raises(RuntimeError, match="share memory"):
        save_checkpoint(
            path, tied, AdamW(tied.parameters()), progress=PROGRESS, identity="this run"
        )
    net, optimizer = new(seed=1)
    assert load_checkpoint(path, net, optimizer, identity="this run") == PROGRESS
    assert torch.equal(net.layers[0].weight, saved.layers[0].weight)  # type: ignore[arg-type]
    assert [file.name for file in tmp_path.iterdir()] == ["c.safetensors"]


def test_file_is_plain_numbers_and_a_json_header(tmp_path: Path) -> None:
    path = tmp_path / "c.safetensors"
    save(path)
    content = path.read_bytes()
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    assert header.pop("__metadata__").keys() == {"identity", "step", "seconds", "losses"}
    assert {entry["dtype"] for entry in header.values()} == {"F32", "U8"}
    assert len(content) == 8 + size + max(entry["data_offsets"][1] for entry in header.values())


@pytest.mark.parametrize("keep", [0, 4, 100, -1])
def test_damaged_checkpoint_is_named_with_the_way_out(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "c.safetensors"
    save(path)
    path.write_bytes(path.read_bytes()[:keep])
    net, optimizer = new(seed=1)
    with pytest.raises(DataError, match=r"must be whole, but .*; delete it to start the run anew$"):
        load_checkpoint(path, net, optimizer, identity="this run")
