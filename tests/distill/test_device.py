from pathlib import Path

import pytest
import torch

from limbeck.config import TrainingSettings
from limbeck.distill.device import Device
from limbeck.errors import ConfigError

NO_CUDA = not torch.cuda.is_available()
CPU_INFO = Path("/proc/cpuinfo")
NO_MPS = not torch.backends.mps.is_available()


@pytest.mark.parametrize(
    ("precision", "dtype"),
    [("fp32", torch.float32), ("bf16", torch.bfloat16), ("fp16", torch.float16)],
)
def test_products_have_the_precision_that_was_asked_for(precision: str, dtype: torch.dtype) -> None:
    settings = TrainingSettings.model_validate({"device": "cpu", "precision": precision})
    device = Device.choose(settings)
    matrix = torch.ones(2, 2)
    with device.autocast():
        product = matrix @ matrix
    assert device == Device(torch.device("cpu"), dtype)
    assert product.dtype is dtype
    assert matrix.dtype is torch.float32


def test_name_says_device_and_precision() -> None:
    assert Device(torch.device("cpu"), torch.bfloat16).name == "cpu, bfloat16"


@pytest.mark.skipif(not (NO_CUDA and NO_MPS), reason="this machine has an accelerator")
def test_without_an_accelerator_auto_is_the_cpu() -> None:
    assert Device.choose(TrainingSettings(precision="fp32")).name == "cpu, float32"


@pytest.mark.skipif(not NO_CUDA, reason="this machine has CUDA")
def test_missing_device_is_refused_with_those_that_are_there() -> None:
    rule = r"^training\.device must be a device of this machine, but got 'cuda'; it has .*cpu$"
    with pytest.raises(ConfigError, match=rule):
        Device.choose(TrainingSettings(device="cuda"))


@pytest.mark.skipif(not CPU_INFO.is_file(), reason="needs Linux")
def test_auto_is_bfloat16_only_where_the_processor_computes_in_it() -> None:
    able = "avx512_bf16" in CPU_INFO.read_text()
    device = Device.choose(TrainingSettings(device="cpu", precision="auto"))
    assert device.dtype is (torch.bfloat16 if able else torch.float32)


@pytest.mark.parametrize(("dtype", "scale"), [(torch.float16, 2.0**16), (torch.bfloat16, 1.0)])
def test_only_gradients_in_half_precision_are_scaled(dtype: torch.dtype, scale: float) -> None:
    scaler = Device(torch.device("cpu"), dtype).scaler()
    assert scaler.scale(torch.ones(())) == scale


def test_random_numbers_follow_from_the_seed() -> None:
    device = Device(torch.device("cpu"), torch.float32)
    with torch.random.fork_rng():
        draws = []
        for seed in (3, 2**64 - 1, 3):
            device.seed(seed)
            draws.append(torch.rand(4))
    assert torch.equal(draws[0], draws[2])
    assert not torch.equal(draws[0], draws[1])
