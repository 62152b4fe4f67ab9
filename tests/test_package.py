"""What `import limbeck` costs, and what it makes possible."""

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import limbeck
from limbeck.students.modeling import SlimBertConfig, SlimBertForQuestionAnswering
from tests.students.tiny import IDS, MASK, logits

LOAD = """
import sys, torch
from safetensors.torch import save_file
from transformers import AutoModelForQuestionAnswering
model = AutoModelForQuestionAnswering.from_pretrained(sys.argv[1])
ids = torch.tensor(eval(sys.argv[2]))
with torch.no_grad():
    output = model(input_ids=ids, attention_mask=(ids != 0).long())
save_file({"logits": torch.stack([output.start_logits, output.end_logits])}, sys.argv[3])
"""


def run(code: str, *arguments: str) -> str:
    """Run code in a process of its own and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a saved student, with its logits for `IDS` beside the weights."""
    config = SlimBertConfig(
        vocab_size=40,
        hidden_size=32,
        head_dim=8,
        heads_per_layer=[3, 0],
        ffn_per_layer=[7, 24],
        max_position_embeddings=20,
    )
    folder = tmp_path_factory.mktemp("student")
    model = SlimBertForQuestionAnswering(config).train(mode=False)
    model.save_pretrained(folder)
    save_file({"logits": logits(model)}, folder / "expected")
    return folder


@pytest.mark.parametrize(
    "imports",
    [
        "from transformers import AutoModelForQuestionAnswering; import limbeck",
        # This imports the Auto modules in the middle of transformers' BERT module.
        "import limbeck; from transformers import BertForQuestionAnswering",
    ],
)
def test_fresh_process_opens_a_student_with_identical_logits(
    student: Path, tmp_path: Path, imports: str
) -> None:
    assert torch.equal(MASK, (IDS != 0).long())
    run(f"{imports}\n{LOAD}", str(student), str(IDS.tolist()), str(tmp_path / "logits"))
    expected = load_file(student / "expected")["logits"]
    assert float((load_file(tmp_path / "logits")["logits"] - expected).abs().max()) == 0


def test_import_loads_nothing_heavy() -> None:
    code = (
        "import sys, limbeck, limbeck.students, limbeck.students.shape\n"
        "heavy = {'torch', 'transformers', 'botorch', 'huggingface_hub'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    assert run(code) == "[]\n"


def test_names_of_the_problem_load_no_torch() -> None:
    code = (
        "import sys\n"
        "from limbeck import Choice, Constraint, Float, Goal, Integer, Metric, Prior, Role\n"
        "from limbeck import SearchSpace, When\n"
        "print(Metric(name='size', goal=Goal.MINIMIZE, role=Role.STORE).name)\n"
        "print(sorted({'torch', 'transformers', 'botorch'} & set(sys.modules)))"
    )
    assert run(code) == "size\n[]\n"


def test_every_public_name_is_there() -> None:
    assert set(limbeck.__all__) < set(dir(limbeck))
    assert [name for name in limbeck.__all__ if not hasattr(limbeck, name)] == []
    assert limbeck.Optimizer.__module__ == "limbeck.optimize.optimizer"


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(AttributeError, match="module 'limbeck' has no attribute 'Optimiser'"):
        getattr(limbeck, "Optimiser")  # noqa: B009
    with pytest.raises(ImportError, match="cannot import name 'Optimiser'"):
        exec("from limbeck import Optimiser")


def test_reading_a_shape_loads_no_torch(student: Path) -> None:
    code = (
        "import sys; from limbeck.students.checkpoint import read_shape\n"
        "print(read_shape(sys.argv[1]).heads_per_layer)\n"
        "print(sorted({'torch', 'transformers'} & set(sys.modules)))"
    )
    assert run(code, str(student)) == "(3, 0)\n[]\n"


def test_version_is_that_of_the_distribution() -> None:
    assert limbeck.__version__ == version("limbeck")
