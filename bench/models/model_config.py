"""``config.json`` of a checkpoint as a typed value: what each architecture may say, in which bounds.

The library gets the validated fields and nothing else of the file, so a key that is not in these tables reaches no
code of its. Names and defaults are the library's (``transformers.GPT2Config``, ``BartConfig``). A further
architecture is a further entry of ``ARCHITECTURES``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from bench.errors import DataError
from bench.foreign_text import quote_foreign
from bench.method import DECODER_ONLY, ENCODER_DECODER, ModelKind
from bench.models.checkpoint_documents import read_config_document
from bench.models.checkpoint_files import CONFIG_FILE
from bench.system.documents import make_document_error

Width = Annotated[int, Field(ge=1, le=1 << 17)]
LayerCount = Annotated[int, Field(ge=1, le=1000)]
HeadCount = Annotated[int, Field(ge=1, le=1024)]
VocabularySize = Annotated[int, Field(ge=1, le=10_000_000)]
PositionCount = Annotated[int, Field(ge=1, le=10_000_000)]
Probability = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]
Deviation = Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]
TokenId = Annotated[int, Field(ge=0)]
Activation = Literal[
    "gelu",
    "gelu_10",
    "gelu_accurate",
    "gelu_fast",
    "gelu_new",
    "gelu_python",
    "gelu_pytorch_tanh",
    "laplace",
    "leaky_relu",
    "linear",
    "mish",
    "quick_gelu",
    "relu",
    "relu2",
    "relu6",
    "sigmoid",
    "silu",
    "swish",
    "tanh",
]
"""The library's activations that have no parameters (``transformers.activations.ACT2FN``)."""
Precision = Literal["auto", "float16", "bfloat16", "float32", "float64"]
TokenizerClass = Literal[
    "BartTokenizer",
    "BartTokenizerFast",
    "GPT2Tokenizer",
    "GPT2TokenizerFast",
    "PreTrainedTokenizer",
    "PreTrainedTokenizerFast",
    "PythonBackend",
    "RobertaTokenizer",
    "RobertaTokenizerFast",
    "TokenizersBackend",
]
"""The library's tokenizers for byte-level pieces, which GPT-2 and BART have."""


class ModelConfig(BaseModel):
    """What the configurations of all architectures share. Other keys are dropped: nothing reads them."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")

    aliases: ClassVar[Mapping[str, str]] = {}
    """Second names that the library takes for a size."""
    unused_token_id: ClassVar[int | None] = None
    """The library's default for ids that nothing reads: smaller models keep it in their files."""
    not_of_library: ClassVar[frozenset[str]] = frozenset({"model_type", "dtype", "torch_dtype"})
    """Fields that are checked and not passed on: weights are always read as the caller says."""

    model_type: str
    vocab_size: VocabularySize
    dtype: Precision | None = None
    torch_dtype: Precision | None = None
    tie_word_embeddings: bool = True
    use_cache: bool = True
    tokenizer_class: TokenizerClass | None = None
    attn_implementation: Literal["eager", "sdpa"] | None = None

    @model_validator(mode="before")
    @classmethod
    def _resolve_names(cls, document: Any) -> Any:
        """One name for each size, and for the implementation of attention."""
        if not isinstance(document, dict):
            return document
        merged = dict(document)
        second = {**cls.aliases, "_attn_implementation": "attn_implementation"}
        second["_attn_implementation_internal"] = "attn_implementation"
        for alias, name in second.items():
            if alias not in merged:
                continue
            value = merged.pop(alias)
            says_nothing = name not in cls.aliases.values() and merged.get(name) is None
            if name in merged and merged[name] != value and not says_nothing:
                raise ValueError(f"{alias} and {name} differ; expected the same")
            merged[name] = value
        return merged

    @model_validator(mode="after")
    def _check_token_ids(self) -> Self:
        for name in type(self).model_fields:
            value = getattr(self, name)
            if not name.endswith("_token_id") or value is None or value == self.unused_token_id:
                continue
            if value >= self.vocab_size:
                raise ValueError(f"{name} is {value} and vocab_size {self.vocab_size}; expected a smaller id")
        return self

    def get_library_fields(self) -> dict[str, Any]:
        """What the file says, as the keyword arguments of the library's class."""
        return self.model_dump(exclude_unset=True, exclude=set(self.not_of_library))


class GPT2ConfigFile(ModelConfig):
    """``transformers.GPT2Config``."""

    aliases: ClassVar[Mapping[str, str]] = {
        "hidden_size": "n_embd",
        "max_position_embeddings": "n_positions",
        "num_attention_heads": "n_head",
        "num_hidden_layers": "n_layer",
    }

    unused_token_id: ClassVar[int | None] = 50256

    model_type: Literal["gpt2"]
    vocab_size: VocabularySize = 50257
    n_positions: PositionCount = 1024
    n_embd: Width = 768
    n_layer: LayerCount = 12
    n_head: HeadCount = 12
    n_inner: Width | None = None
    activation_function: Activation = "gelu_new"
    resid_pdrop: Probability = 0.1
    embd_pdrop: Probability = 0.1
    attn_pdrop: Probability = 0.1
    layer_norm_epsilon: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] = 1e-5
    initializer_range: Deviation = 0.02
    scale_attn_weights: bool = True
    scale_attn_by_inverse_layer_idx: bool = False
    reorder_and_upcast_attn: bool = False
    add_cross_attention: Literal[False] = False
    is_encoder_decoder: Literal[False] = False
    bos_token_id: TokenId | None = None
    eos_token_id: TokenId | None = None
    pad_token_id: TokenId | None = None

    @model_validator(mode="after")
    def _check_heads(self) -> Self:
        check_divisible("n_embd", self.n_embd, "n_head", self.n_head)
        return self


class BartConfigFile(ModelConfig):
    """``transformers.BartConfig``."""

    aliases: ClassVar[Mapping[str, str]] = {
        "hidden_size": "d_model",
        "num_attention_heads": "encoder_attention_heads",
        "num_hidden_layers": "encoder_layers",
    }

    model_type: Literal["bart"]
    vocab_size: VocabularySize = 50265
    max_position_embeddings: PositionCount = 1024
    d_model: Width = 1024
    encoder_layers: LayerCount = 12
    encoder_attention_heads: HeadCount = 16
    encoder_ffn_dim: Width = 4096
    decoder_layers: LayerCount = 12
    decoder_attention_heads: HeadCount = 16
    decoder_ffn_dim: Width = 4096
    encoder_layerdrop: Probability = 0.0
    decoder_layerdrop: Probability = 0.0
    activation_function: Activation = "gelu"
    dropout: Probability = 0.1
    attention_dropout: Probability = 0.0
    activation_dropout: Probability = 0.0
    init_std: Deviation = 0.02
    scale_embedding: bool = False
    is_encoder_decoder: Literal[True] = True
    is_decoder: Literal[False] = False
    bos_token_id: TokenId = 0
    pad_token_id: TokenId = 1
    eos_token_id: TokenId = 2
    decoder_start_token_id: TokenId = 2
    forced_eos_token_id: TokenId | None = None

    @model_validator(mode="after")
    def _check_heads(self) -> Self:
        for side in ("encoder", "decoder"):
            heads = f"{side}_attention_heads"
            check_divisible("d_model", self.d_model, heads, getattr(self, heads))
        return self


def check_divisible(name: str, width: int, heads_name: str, heads: int) -> None:
    """Every head has the same width."""
    if width % heads:
        raise ValueError(f"{name} is {width} and {heads_name} {heads}; expected a multiple")


class Architecture(NamedTuple):
    """What the harness has for a ``model_type``."""

    kind: ModelKind
    config: type[ModelConfig]


ARCHITECTURES: Mapping[str, Architecture] = {
    "gpt2": Architecture(DECODER_ONLY, GPT2ConfigFile),
    "bart": Architecture(ENCODER_DECODER, BartConfigFile),
}
"""``model_type`` -> its architecture."""


def get_architecture(path: Path, document: Mapping[str, Any]) -> Architecture:
    """The architecture that a configuration names; others are refused."""
    file = path / CONFIG_FILE
    if "model_type" not in document:
        raise DataError(f"{file}: not a model configuration (no model_type)")
    model_type = document["model_type"]
    if not isinstance(model_type, str) or model_type not in ARCHITECTURES:
        raise DataError(
            f"{file}: model_type is {quote_foreign(model_type, 60)}; expected 'gpt2' for table-to-text or "
            "'bart' for summarization"
        )
    return ARCHITECTURES[model_type]


def read_model_config_file(path: Path) -> ModelConfig:
    """``config.json`` of a checkpoint, every number typed and in its bounds; ``DataError`` names what is not."""
    document = read_config_document(path)
    return validate_config(path, document)


def validate_config(path: Path, document: Mapping[str, Any]) -> ModelConfig:
    """A parsed ``config.json`` as the typed value of its architecture."""
    architecture = get_architecture(path, document)
    try:
        return architecture.config.model_validate(document)
    except ValidationError as error:
        raise make_document_error(path / CONFIG_FILE, error) from error
