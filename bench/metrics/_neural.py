"""Checkpoints for the scores that need a neural model: finding, identifying, loading and running them.

A checkpoint is a folder with ``config.json``, safetensors and a tokenizer. It is looked for in
``BENCH_MODELS/<name>``, then on the hub at a pinned revision (its cache first; no download under
``HF_HUB_OFFLINE=1``). Pickled weights are never read and no code from a checkpoint is ever run.
What cannot be had raises ``UnavailableError`` that says where it was looked for and where to put it;
a hub that did not answer is not asked again in the same process.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.errors import DataError, UnavailableError, first_line
from bench.foreign_text import quote_foreign
from bench.system import hub
from bench.system.files import check_regular_file, read_bytes, sha256_file
from bench.system.json_files import parse_json
from bench.system.refused_keys import check_keys
from bench.system.safetensors_header import read_header
from bench.system.third_party import loading_file

if TYPE_CHECKING:
    import torch
    from tokenizers import Tokenizer

SPECIAL = {
    "bert": ("[CLS]", "[SEP]"),
    "distilbert": ("[CLS]", "[SEP]"),
    "roberta": ("<s>", "</s>"),
}
"""Architectures that can be read, with the tokens that open and close a text."""
FILES = "config.json, model.safetensors and tokenizer.json"
WEIGHTS_FILE, ADAPTER_FILE = "model.safetensors", "adapter_config.json"
TOKENS_AT_ONCE = 8192  # bounds the memory of a batch of long texts
PROBE_SECONDS = 5.0

_unreachable: dict[str, str] = {}  # hub address or repository -> why; for this process
_hashes: dict[tuple[str, int, int], str] = {}


@dataclass(frozen=True)
class Checkpoint:
    """A folder that was found, and what it is called in signatures."""

    name: str
    path: Path


def locate_checkpoint(name: str, pinned: hub.PinnedRepository | None = None, how: str = "") -> Checkpoint:
    """The folder of a named checkpoint; ``how`` tells the user how to get it where the hub has it not."""
    local, why_not = hub.find_local_folder(name)
    if local is not None:
        return Checkpoint(name, local)
    if pinned is None:
        raise UnavailableError(f"the weights of {name} are not here. Tried: {why_not}. {how}")
    try:
        return Checkpoint(name, fetch_checkpoint(pinned))
    except UnavailableError as error:
        tried = f"{why_not}; hub {pinned}: {error}"
    raise UnavailableError(
        f"the weights of {name} could not be had. Tried: {tried}. Put {FILES} into a folder "
        f"DIR/{name} and set BENCH_MODELS=DIR; on a machine with a network: hf download {pinned.repository} "
        f"--revision {pinned.revision} --local-dir DIR/{name}"
    )


def fetch_checkpoint(pinned: hub.PinnedRepository) -> Path:
    """The pinned snapshot, from the hub's cache or downloaded; asks the hub at most once per process."""
    from huggingface_hub import constants

    with contextlib.suppress(Exception):  # whatever is wrong with the cache, the download decides
        path = hub.fetch_snapshot(pinned, allow_download=False)
        if list(path.glob("*.safetensors")):  # else only a part of it was ever fetched
            return path
    if constants.HF_HUB_OFFLINE:
        raise UnavailableError("not in its cache, and HF_HUB_OFFLINE forbids a download")
    if not hub.downloads_allowed.get():
        raise UnavailableError(
            "not in its cache; mini and --offline runs download no scorer (bench score --run does)"
        )
    for address in (constants.ENDPOINT, pinned.repository):
        if address in _unreachable:
            raise UnavailableError(f"{_unreachable[address]} (not tried again)")
    probe_hub(constants.ENDPOINT)
    try:
        return hub.fetch_snapshot(pinned, allow_download=True)
    except Exception as error:
        _unreachable[pinned.repository] = first_line(error)
        raise UnavailableError(first_line(error)) from error


def probe_hub(address: str) -> None:
    """One quick question to the hub: its own client would repeat a hopeless one for a long time."""
    from huggingface_hub import get_session

    try:
        get_session().head(address, timeout=PROBE_SECONDS)
    except Exception as error:
        _unreachable[address] = f"{address} does not answer: {first_line(error)}"
        raise UnavailableError(_unreachable[address]) from error


def read_config(path: Path, kinds: Sequence[str]) -> dict[str, Any]:
    """``config.json`` of a checkpoint of one of these architectures; checked before anything heavy."""
    if not list(path.glob("*.safetensors")):
        pickled = " (pickled weights, .bin, are not read)" if list(path.glob("*.bin")) else ""
        raise UnavailableError(f"{path}: no safetensors{pickled}; expected {FILES}")
    if not (
        path / WEIGHTS_FILE
    ).exists():  # an index may name files of any kind, which a library would unpickle
        raise UnavailableError(f"{path}: no {WEIGHTS_FILE}; expected {FILES}")
    if (path / ADAPTER_FILE).exists():
        raise UnavailableError(
            f"{path / ADAPTER_FILE}: an adapter would be loaded into the weights; expected {FILES} alone"
        )
    config = read_json(path / "config.json")
    kind = config.get("model_type")
    if not isinstance(kind, str) or kind not in kinds:
        raise UnavailableError(
            f"{path / 'config.json'}: model_type is {quote_foreign(kind)}; expected {' or '.join(kinds)}"
        )
    check_sizes(path / "config.json", config)
    check_headers(path, config)
    return config


SIZES = ("vocab_size", "hidden_size", "dim", "intermediate_size", "hidden_dim", "max_position_embeddings")
"""What a configuration of these architectures says of the shapes of tensors."""
COUNTS = ("num_hidden_layers", "n_layers", "num_attention_heads", "n_heads", "num_labels", "type_vocab_size")
LARGEST_SIZE, LARGEST_COUNT = 10_000_000, 10_000


def check_sizes(file: Path, config: Mapping[str, Any]) -> None:
    """Sizes are whole numbers that a model can have: a library would allocate whatever they say."""
    for names, largest in ((SIZES, LARGEST_SIZE), (COUNTS, LARGEST_COUNT)):
        for name in names:
            value = config.get(name, 1)
            if type(value) is not int or not 1 <= value <= largest:
                raise UnavailableError(
                    f"{file}: {name} is {quote_foreign(value)}; expected a whole number from 1 to {largest:,}"
                )


def check_headers(path: Path, config: Mapping[str, Any]) -> None:
    """The weight files are whole, and hold tensors of the sizes that the configuration says."""
    dimensions: set[int] = set()
    for file in sorted(path.glob("*.safetensors")):
        try:
            dimensions.update(size for entry in read_header(file).values() for size in entry.shape)
        except DataError as error:
            raise UnavailableError(str(error)) from error
    for name in SIZES:
        if name in config and config[name] not in dimensions:
            raise UnavailableError(
                f"{path}: config.json says {name} {config[name]:,} and no tensor is of that size; expected the "
                "weights of its config.json"
            )


def read_json(file: Path) -> dict[str, Any]:
    """A configuration file: one JSON object, without keys that would make a library load code from elsewhere."""
    try:
        document = parse_json(file, read_bytes(file))
        if not isinstance(document, dict):
            raise DataError("no object", "expected a JSON object")
        check_keys(file, document)
    except DataError as error:
        raise UnavailableError(f"{file}: not a model configuration ({error.problem or error})") from error
    return document


def make_unavailable(message: str, problem: str) -> UnavailableError:  # noqa: ARG001 - what loading_file gives
    """The error for a file that cannot be read: the score is not available."""
    return UnavailableError(message)


def find_tokenizer_file(path: Path) -> Path:
    """``tokenizer.json``, or else the ``vocab.txt`` of an uncased WordPiece tokenizer."""
    for name in ("tokenizer.json", "vocab.txt"):
        if (path / name).is_file():
            return path / name
    raise UnavailableError(f"{path}: no tokenizer.json and no vocab.txt; expected one beside the weights")


def read_tokenizer(file: Path, longest_word: int = 100) -> Tokenizer:
    """A tokenizer that neither cuts nor pads; ``longest_word`` (in characters) is for a ``vocab.txt``."""
    from tokenizers import Tokenizer, normalizers, pre_tokenizers
    from tokenizers.models import WordPiece

    try:
        check_regular_file(file)
    except DataError as error:
        raise UnavailableError(str(error)) from error
    if file.suffix == ".json":
        with loading_file(file, "a whole tokenizer.json", make_unavailable):
            tokenizer = Tokenizer.from_file(str(file))
            tokenizer.no_truncation()
            tokenizer.no_padding()
            tokenizer.encode("a text", add_special_tokens=False)
        return tokenizer
    with loading_file(file, "a word a line, in UTF-8", make_unavailable):
        words = file.read_text(encoding="utf-8").split("\n")
    vocabulary = {word.strip(): index for index, word in enumerate(words) if word.strip()}
    with loading_file(file, "the vocabulary of a WordPiece tokenizer", make_unavailable):
        tokenizer = Tokenizer(
            WordPiece(vocabulary, unk_token="[UNK]", max_input_chars_per_word=longest_word)  # noqa: S106 - no password
        )
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return tokenizer


def find_token_ids(tokenizer: Tokenizer, tokens: Sequence[str], file: Path) -> list[int]:
    """The ids of special tokens, which must exist."""
    vocabulary = tokenizer.get_vocab(with_added_tokens=True)
    if lacking := [token for token in tokens if token not in vocabulary]:
        raise UnavailableError(f"{file}: the tokenizer lacks {' and '.join(lacking)}")
    return [vocabulary[token] for token in tokens]


def check_vocabulary(tokenizer: Tokenizer, rows: int, file: Path) -> None:
    """Refuse a tokenizer with ids that the model's embedding does not have."""
    largest = max(tokenizer.get_vocab(with_added_tokens=True).values(), default=0)
    if largest >= rows:
        raise UnavailableError(
            f"{file}: the tokenizer has ids up to {largest} and the model {rows} embeddings; "
            "expected the tokenizer that belongs to these weights"
        )


def replace_surrogates(text: str) -> str:
    """Half surrogate pairs, which are no text, become question marks: a tokenizer refuses them."""
    return text.encode("utf-8", "replace").decode("utf-8")


@dataclass(frozen=True)
class Encoder:
    """A loaded model with its tokenizer. ``limit``: tokens of a text, the opening and closing one included."""

    model: Any
    tokenizer: Tokenizer
    start: int
    end: int
    pad: int
    limit: int
    prefix: str
    device: torch.device

    def encode(self, text: str) -> list[int]:
        """The tokens of a text between opening and closing token; what is beyond ``limit`` is cut off."""
        prefix = self.prefix if text.strip() else ""  # an empty text stays empty
        ids = self.tokenizer.encode(prefix + replace_surrogates(text), add_special_tokens=False).ids
        return [self.start, *ids[: self.limit - 2], self.end]

    def embed(self, rows: Sequence[Sequence[int]], batch: int) -> list[torch.Tensor]:
        """Last hidden state per row of tokens, (tokens, width), in the rows' order."""
        import torch

        result: list[Any] = [None] * len(rows)
        with torch.inference_mode():
            for indices in make_batches([len(row) for row in rows], batch):
                ids, mask = pad_rows([rows[index] for index in indices], self.pad)
                states = self.model(
                    input_ids=ids.to(self.device), attention_mask=mask.to(self.device)
                ).last_hidden_state
                for index, state in zip(indices, states, strict=True):
                    result[index] = state[: len(rows[index])]
        return result


def make_batches(lengths: Sequence[int], most: int) -> Iterator[list[int]]:
    """Places of rows of similar length, longest first: at most ``most``, and ``TOKENS_AT_ONCE`` when padded."""
    order = sorted(range(len(lengths)), key=lambda index: (-lengths[index], index))
    while order:
        width = max(1, min(most, TOKENS_AT_ONCE // lengths[order[0]]))
        yield order[:width]
        order = order[width:]


def pad_rows(rows: Sequence[Sequence[int]], pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows as one matrix with its attention mask."""
    import torch

    width = max(map(len, rows))
    ids = torch.tensor([[*row, *[pad] * (width - len(row))] for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows])
    return ids, mask


def load_encoder(checkpoint: Checkpoint, kinds: Sequence[str], layers: int | None = None) -> Encoder:
    """The encoder of a checkpoint, in float32, without its pooler; only the first ``layers`` where given."""
    import torch
    from transformers import BertModel, DistilBertModel, RobertaModel

    from bench.system.devices import pick_device

    kind = read_config(checkpoint.path, kinds)["model_type"]
    file = find_tokenizer_file(checkpoint.path)
    tokenizer = read_tokenizer(file)
    start, end = find_token_ids(tokenizer, SPECIAL[kind], file)
    factory = {"bert": BertModel, "distilbert": DistilBertModel, "roberta": RobertaModel}[kind]
    options = {} if kind == "distilbert" else {"add_pooling_layer": False}
    model = load_pretrained(factory, checkpoint.path, **options)
    check_vocabulary(tokenizer, model.config.vocab_size, file)
    if layers is not None:
        available = model.config.num_hidden_layers
        if layers > available:
            raise UnavailableError(f"{checkpoint.path}: {available} layers; layer {layers} is needed")
        model.encoder.layer = torch.nn.ModuleList(model.encoder.layer[:layers])
    pad = model.config.pad_token_id or 0
    # RoBERTa counts positions from the padding token's id on, and reads a text's first word as if a
    # blank preceded it, as the words of its training texts.
    roberta = kind == "roberta"
    limit = model.config.max_position_embeddings - (pad + 1 if roberta else 0)
    device = pick_device("auto")
    return Encoder(model.to(device), tokenizer, start, end, pad, limit, " " if roberta else "", device)


def load_pretrained(factory: Any, path: Path, **options: Any) -> Any:
    """A transformers model in eval mode with every tensor from the checkpoint, and the random state as before."""
    import torch

    with (
        torch.random.fork_rng(devices=[]),
        loading_file(path, "the weights of its config.json", make_unavailable),
    ):
        model, report = factory.from_pretrained(
            path,
            local_files_only=True,
            use_safetensors=True,
            dtype=torch.float32,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
            **options,
        )
    unusable = sorted({*report["missing_keys"], *(str(entry[0]) for entry in report["mismatched_keys"])})
    if unusable:
        raise UnavailableError(
            f"{path}: {len(unusable)} tensors are missing or have another shape, the first {unusable[0]}; "
            "expected the weights of its config.json"
        )
    return model.eval()


def identify_files(path: Path, weights: str = "*.safetensors", words: Path | None = None) -> dict[str, str]:
    """For signatures: ``weights`` and ``tokenizer``, the first digits of the files' SHA-256.

    Of one file: as sha256sum prints it; of several: of their hashes, one after the other.
    """
    hashes = [hash_file(file) for file in sorted(path.glob(weights))]
    whole = hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()
    return {"weights": whole[:12], "tokenizer": hash_file(words or find_tokenizer_file(path))[:12]}


def hash_file(file: Path) -> str:
    """The hash of a file, computed once per process for an unchanged file."""
    facts = file.stat()
    key = (str(file.resolve()), facts.st_size, facts.st_mtime_ns)
    if key not in _hashes:
        _hashes[key] = sha256_file(file)
    return _hashes[key]


def list_versions(*packages: str) -> dict[str, str]:
    """For signatures: the versions, ours (``version``) first, that a score depends on."""
    from importlib.metadata import version

    import bench

    return {"version": bench.__version__, **{name: version(name) for name in packages}}
