"""BERT with a width of its own in every layer: the class of every student and every teacher.

It needs torch, transformers and nothing that these do not need themselves, so that a copy of it can
travel in the folder of an exported student.
"""

from collections.abc import Mapping
from copy import copy
from dataclasses import field
from typing import Any, Self, cast

from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModelForQuestionAnswering,
    BertConfig,
    BertForQuestionAnswering,
)
from transformers.initialization import no_init_weights
from transformers.models.bert.modeling_bert import (
    BertEmbeddings,
    BertLayer,
    BertSelfAttention,
)
from typing_extensions import override


class SlimBertConfig(BertConfig):  # type: ignore[no-untyped-call]  # their __init_subclass__
    """Configuration of a BERT whose layers differ in width.

    Left out, the widths are those of the BERT that the other fields describe. Given, they settle
    the other fields: `num_attention_heads` is that of a full layer, ``hidden_size / head_dim``, and
    `intermediate_size` that of the widest.

    Attributes:
        heads_per_layer: Attention heads of each layer; 0 leaves the attention's output bias only.
        ffn_per_layer: Neurons of each layer's feed-forward block, at least 1.
        head_dim: Width of one head.
        embedding_size: Width of the embeddings and their layer norm; 0 stands for `hidden_size`. If
            it is another, a projection follows them.
        embedding_rank: Rank of the word embeddings, which are then the product of a table of this
            width and a projection; 0 leaves them one table.
        qa_dropout: Dropout before the question-answering head.
        kept_layers: The teacher's layers that this student was cut from, if it was.
        kept_heads: For each of them, the heads that were kept.
        teacher: Folder or hub id of the teacher that it was cut from.
    """

    model_type = "slim-bert"

    heads_per_layer: list[int] = field(default_factory=list)
    ffn_per_layer: list[int] = field(default_factory=list)
    head_dim: int = 0
    embedding_size: int = 0
    embedding_rank: int = 0
    qa_dropout: float | int = 0.0
    kept_layers: list[int] = field(default_factory=list)
    kept_heads: list[list[int]] = field(default_factory=list)
    teacher: str = ""

    @override
    def __post_init__(self, **kwargs: Any) -> None:
        """Fill in the widths, and check that they fit each other.

        Raises:
            ValueError: If they do not.
        """
        super().__post_init__(**kwargs)  # type: ignore[no-untyped-call]
        self.head_dim = self.head_dim or self.hidden_size // self.num_attention_heads
        self.embedding_size = self.embedding_size or self.hidden_size
        if not self.heads_per_layer:
            self.heads_per_layer = [self.num_attention_heads] * self.num_hidden_layers
        if not self.ffn_per_layer:
            self.ffn_per_layer = [self.intermediate_size] * len(self.heads_per_layer)
        if len(self.heads_per_layer) != len(self.ffn_per_layer):
            raise ValueError(
                "heads_per_layer and ffn_per_layer must have one entry for each layer, but got "
                f"{len(self.heads_per_layer)} and {len(self.ffn_per_layer)}"
            )
        if self.hidden_size % self.head_dim:
            raise ValueError(
                f"head_dim must divide hidden_size, but got {self.head_dim} and {self.hidden_size}"
            )
        if not 0 <= self.embedding_rank <= self.embedding_size:
            raise ValueError(
                "embedding_rank must be between 0 and embedding_size, but got "
                f"{self.embedding_rank} and {self.embedding_size}"
            )
        self.num_hidden_layers = len(self.heads_per_layer)
        self.num_attention_heads = self.hidden_size // self.head_dim
        self.intermediate_size = max(self.ffn_per_layer)


class SlimBertForQuestionAnswering(BertForQuestionAnswering):  # type: ignore[no-untyped-call]
    """BERT with a span-extraction head, each layer as wide as the configuration says."""

    config_class = SlimBertConfig
    config: SlimBertConfig

    def __init__(self, config: SlimBertConfig) -> None:
        super().__init__(config)
        self.bert.embeddings = SlimEmbeddings(config)
        for index, layer in enumerate(self.bert.encoder.layer):
            _resize(cast(BertLayer, layer), config, index)
        self.qa_outputs = QuestionAnsweringHead(config)
        self.post_init()  # type: ignore[no-untyped-call]

    @classmethod
    def from_state_dict(cls, config: SlimBertConfig, state: Mapping[str, Tensor]) -> Self:
        """Return a model in evaluation mode with copies of the given weights.

        No random numbers are drawn, and no file is touched.

        Raises:
            RuntimeError: If ``state`` lacks a weight, has one too many, or one of another shape.
        """
        with no_init_weights():
            model = cls(config)
        model.load_state_dict(state)
        model.train(mode=False)
        return model


class SlimEmbeddings(BertEmbeddings):
    """Embeddings as narrow as the configuration says, brought to the width of the layers.

    As in ELECTRA, the projection comes last, behind layer norm and dropout.
    """

    def __init__(self, config: SlimBertConfig) -> None:
        narrow = copy(config)
        narrow.hidden_size = config.embedding_size
        super().__init__(narrow)  # type: ignore[no-untyped-call]
        if config.embedding_rank:
            self.word_embeddings = LowRankEmbedding(config)
        if config.type_vocab_size == 0:
            self.token_type_embeddings = NoTokenTypes()  # type: ignore[assignment]
        self.projection: nn.Module = nn.Identity()
        if config.embedding_size != config.hidden_size:
            self.projection = nn.Linear(config.embedding_size, config.hidden_size)

    @override
    def forward(self, *args: Any, **kwargs: Any) -> Tensor:
        """Return the ``batch x length x hidden_size`` input of the first layer."""
        embeddings: Tensor = self.projection(super().forward(*args, **kwargs))
        return embeddings


class LowRankEmbedding(nn.Embedding):
    """Word embeddings that are the product of a narrow table and a projection without bias."""

    def __init__(self, config: SlimBertConfig) -> None:
        super().__init__(config.vocab_size, config.embedding_rank, padding_idx=config.pad_token_id)
        self.projection = nn.Linear(config.embedding_rank, config.embedding_size, bias=False)

    @override
    def forward(self, input: Tensor) -> Tensor:
        """Return ``... x embedding_size`` embeddings for ``...`` token ids."""
        embeddings: Tensor = self.projection(super().forward(input))
        return embeddings


class SlimLinear(nn.Linear):
    """A linear layer that may have no inputs or no outputs."""

    @override
    def reset_parameters(self) -> None:
        """Do nothing: `post_init` sets the weights, and torch's own way warns about empty ones."""

    @override
    def forward(self, input: Tensor) -> Tensor:
        """Return the layer's output; without inputs, its bias."""
        if self.in_features == 0:
            # Exported graphs stay free of products over an empty dimension.
            return self.bias.expand(*input.shape[:-1], -1)
        return super().forward(input)


class SlimSelfAttention(BertSelfAttention):
    """Self-attention with as many heads as the configuration gives the layer, perhaps none."""

    def __init__(self, config: SlimBertConfig, layer_idx: int) -> None:
        super().__init__(config, layer_idx=layer_idx)  # type: ignore[no-untyped-call]
        self.num_attention_heads = config.heads_per_layer[layer_idx]
        self.all_head_size = self.num_attention_heads * config.head_dim
        self.query = SlimLinear(config.hidden_size, self.all_head_size)
        self.key = SlimLinear(config.hidden_size, self.all_head_size)
        self.value = SlimLinear(config.hidden_size, self.all_head_size)

    @override
    def forward(self, hidden_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        """Return the heads' outputs side by side, and the attention weights if they are kept."""
        if self.all_head_size == 0:
            # Not every attention kernel takes 0 heads.
            batch, length, _ = hidden_states.shape
            weights = hidden_states.new_empty(batch, 0, length, length)
            return hidden_states.new_empty(batch, length, 0), weights
        return super().forward(hidden_states, *args, **kwargs)


class QuestionAnsweringHead(nn.Linear):
    """Start and end logits from hidden states, with dropout before them."""

    def __init__(self, config: SlimBertConfig) -> None:
        super().__init__(config.hidden_size, 2)
        self.dropout = nn.Dropout(config.qa_dropout)

    @override
    def forward(self, input: Tensor) -> Tensor:
        """Return ``... x 2`` logits for ``... x hidden_size`` hidden states."""
        return super().forward(self.dropout(input))


class NoTokenTypes(nn.Module):
    """Takes the place of the token type embeddings in a model that has none."""

    @override
    def forward(self, token_type_ids: Tensor) -> float:
        """Return what is to be added to the word embeddings."""
        return 0.0


def register() -> None:
    """Make the `Auto` classes of transformers know the model type; doing so again is harmless."""
    AutoConfig.register(SlimBertConfig.model_type, SlimBertConfig, exist_ok=True)
    AutoModelForQuestionAnswering.register(
        SlimBertConfig, SlimBertForQuestionAnswering, exist_ok=True
    )


def _resize(layer: BertLayer, config: SlimBertConfig, index: int) -> None:
    """Give a layer new weights, not yet set, in the widths that it has in the configuration."""
    width = config.heads_per_layer[index] * config.head_dim
    neurons = config.ffn_per_layer[index]
    layer.attention.self = SlimSelfAttention(config, index)
    layer.attention.output.dense = SlimLinear(width, config.hidden_size)
    layer.intermediate.dense = SlimLinear(config.hidden_size, neurons)
    layer.output.dense = SlimLinear(neurons, config.hidden_size)
