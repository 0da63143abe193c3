"""The files of a tokenizer, each checked for what it must say before a library reads it.

``tokenizer.json`` (or ``vocab.json`` and ``merges.txt``) holds the pieces, ``tokenizer_config.json`` and its older
companions the special tokens. What only the library can judge, normalisers and the like, it is asked for:
``tokenizers`` alone, without torch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError

from bench.errors import DataError
from bench.foreign_text import quote_foreign
from bench.models.checkpoint_documents import read_json_object, read_limited
from bench.models.checkpoint_files import list_names, list_side_files
from bench.models.model_config import (
    TokenizerClass,
)
from bench.system.documents import make_document_error
from bench.system.files import check_regular_file
from bench.system.refused_keys import check_keys
from bench.system.third_party import loading_file

TOKENIZER_FILE, VOCABULARY_FILE, MERGES_FILE = "tokenizer.json", "vocab.json", "merges.txt"
TOKENIZER_CONFIG_FILE = "tokenizer_config.json"
LARGEST_PIECES = 256 << 20  # bytes; GPT-2's tokenizer.json has 1.4 MB
LARGEST_SIDE_FILE = 16 << 20  # bytes
LARGEST_ID = 10_000_000
PROBE = "".join(map(chr, range(33, 127))) + " caf\u00e9 \u20ac 1.\n"
"""A text that every tokenizer of byte-level pieces has tokens for: what can be printed of ASCII, and some more."""
MAPS_OF_KNOWN_FILES: Mapping[str, str] = {
    "special_tokens_map.json": "special tokens by role",
    "added_tokens.json": "ids by added token",
    "generation_config.json": "settings of generation",
    "chat_template.json": "a chat template",
}

TokenId = Annotated[int, Field(ge=0, lt=LARGEST_ID)]
TokenText = Annotated[str, StringConstraints(min_length=1, max_length=10_000)]


class _Document(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")


class AddedToken(BaseModel):
    """A token with how it is cut from a text, as the library writes it."""

    model_config = ConfigDict(strict=True, extra="forbid")

    content: TokenText
    lstrip: bool = False
    rstrip: bool = False
    single_word: bool = False
    normalized: bool = True
    special: bool = False
    type: Literal["AddedToken"] | None = Field(None, alias="__type")


class NumberedToken(AddedToken):
    """The same in ``tokenizer.json``."""

    id: TokenId


SpecialToken = TokenText | AddedToken | None
SpecialTokens = list[TokenText | AddedToken] | dict[TokenText, TokenText | AddedToken] | None


class SpecialTokensFile(_Document):
    """``special_tokens_map.json``, and the same entries of ``tokenizer_config.json``."""

    bos_token: SpecialToken = None
    eos_token: SpecialToken = None
    unk_token: SpecialToken = None
    sep_token: SpecialToken = None
    pad_token: SpecialToken = None
    cls_token: SpecialToken = None
    mask_token: SpecialToken = None
    additional_special_tokens: SpecialTokens = None
    extra_special_tokens: SpecialTokens = None


class TokenizerConfigFile(SpecialTokensFile):
    """``tokenizer_config.json``."""

    tokenizer_class: TokenizerClass | None = None
    model_max_length: Annotated[float, Field(ge=1, allow_inf_nan=False)] | None = None
    max_len: Annotated[float, Field(ge=1, allow_inf_nan=False)] | None = None
    padding_side: Literal["left", "right"] | None = None
    truncation_side: Literal["left", "right"] | None = None
    add_prefix_space: bool | None = None
    add_bos_token: bool | None = None
    add_eos_token: bool | None = None
    clean_up_tokenization_spaces: bool | None = None
    split_special_tokens: bool | None = None
    trim_offsets: bool | None = None
    do_lower_case: bool | None = None
    backend: Literal["tokenizers"] | None = None
    errors: Literal["strict", "replace", "ignore"] | None = None
    model_input_names: Annotated[list[str], Field(max_length=100)] | None = None
    model_specific_special_tokens: dict[str, TokenText | AddedToken] | None = None
    added_tokens_decoder: (
        dict[Annotated[str, StringConstraints(pattern=r"^[0-9]{1,7}$")], AddedToken] | None
    ) = None
    name_or_path: str | None = None
    processor_class: str | None = None
    verbose: bool | None = None
    is_local: bool | None = None
    local_files_only: bool | None = None
    files_loaded: list[str] | None = None
    # Arguments of the library's own, which it would take from here.
    vocab: None = None
    merges: None = None
    post_processor: None = None
    tokenizer_padding: None = None
    tokenizer_truncation: None = None
    cache_dir: None = None
    revision: None = None
    token: None = None
    proxies: None = None
    chat_template: str | list[dict[str, str]] | dict[str, str] | None = None


class _BpeModel(_Document):
    type: Literal["BPE"] | None = None
    vocab: dict[str, TokenId]
    merges: list[str] | list[Annotated[list[str], Field(min_length=2, max_length=2)]]
    dropout: Annotated[float, Field(ge=0, le=0)] | None = None
    """With any other value the same text would get other tokens at every reading."""
    unk_token: str | None = None
    continuing_subword_prefix: str | None = None
    end_of_word_suffix: str | None = None


class _OtherModel(_Document):
    type: Literal["WordLevel", "WordPiece", "Unigram"]


class _TokenizerFile(_Document):
    added_tokens: list[NumberedToken]
    model: dict[str, Any]


_IDS: TypeAdapter[dict[str, int]] = TypeAdapter(dict[str, TokenId])


def check_tokenizer_files(path: Path, vocabulary: int | None = None) -> None:
    """Refuse a folder whose tokenizer cannot be read; ``vocabulary``: rows of the embedding, where it is there.

    Every file that a library would read is checked, by its place within the file; ``tokenizers`` has the last word.
    """
    names = list_names(path)
    if TOKENIZER_FILE not in names and not {VOCABULARY_FILE, MERGES_FILE} <= names:
        raise DataError(
            f"{path}: no tokenizer; expected tokenizer.json, or vocab.json and merges.txt, beside the weights"
        )
    for file in list_side_files(path):
        check_regular_file(file)
    check_side_files(path, names)
    ids: dict[str, int] = {}
    if TOKENIZER_FILE in names:
        ids |= check_tokenizer_json(path / TOKENIZER_FILE)
    if VOCABULARY_FILE in names:
        listed = read_ids(path / VOCABULARY_FILE, "ids by token")
        check_distinct_ids(path / VOCABULARY_FILE, listed)
        if MERGES_FILE in names:
            check_merges(path / MERGES_FILE, read_merges(path / MERGES_FILE), listed)
        ids = ids or listed
    if "added_tokens.json" in names:
        ids |= read_ids(path / "added_tokens.json", MAPS_OF_KNOWN_FILES["added_tokens.json"])
    if vocabulary is not None:
        check_largest_id(path, ids, vocabulary)


def check_side_files(path: Path, names: Iterable[str]) -> None:
    """The files beside the pieces: one JSON object each, with the special tokens as texts, and no foreign code."""
    for name in sorted(names):
        file = path / name
        if name == TOKENIZER_CONFIG_FILE:
            validate(TokenizerConfigFile, file, read_checked_object(file, "a configuration of a tokenizer"))
        elif name == "special_tokens_map.json":
            validate(SpecialTokensFile, file, read_checked_object(file, MAPS_OF_KNOWN_FILES[name]))
        elif name in MAPS_OF_KNOWN_FILES:
            read_checked_object(file, MAPS_OF_KNOWN_FILES[name])
        elif name.endswith(".jinja"):
            read_text(file, "a chat template")


def read_checked_object(file: Path, meaning: str) -> dict[str, Any]:
    """A JSON object whose keys make no library load anything else."""
    document = read_json_object(file, meaning, LARGEST_SIDE_FILE)
    check_byte_order_mark(file)
    check_keys(file, document)
    return document


def check_byte_order_mark(file: Path) -> None:
    """The library's reader of JSON takes none."""
    with file.open("rb") as stream:
        if stream.read(3) == b"\xef\xbb\xbf":
            raise DataError(f"{file}: begins with a byte order mark; expected plain UTF-8")


def read_text(file: Path, meaning: str) -> str:
    """A text file of a tokenizer, in UTF-8."""
    content = read_limited(file, meaning, LARGEST_PIECES)
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{file}: no UTF-8 at byte {error.start}; expected {meaning}") from error


def validate(model: type[BaseModel], file: Path, document: Any) -> Any:
    """``document`` as a value of ``model``; ``DataError`` says what is not as declared."""
    try:
        return model.model_validate(document)
    except ValidationError as error:
        raise make_document_error(file, error) from error


def read_ids(file: Path, meaning: str) -> dict[str, int]:
    """Token -> id, from a JSON file."""
    document = read_json_object(file, meaning, LARGEST_PIECES)
    check_byte_order_mark(file)
    try:
        return _IDS.validate_python(document, strict=True)
    except ValidationError as error:
        raise make_document_error(file, error) from error


def check_distinct_ids(file: Path, ids: Mapping[str, int]) -> None:
    """There are tokens, and no two share an id."""
    if not ids:
        raise DataError(f"{file}: the vocabulary is empty; expected ids by token")
    tokens: dict[int, str] = {}
    for token, index in ids.items():
        if index in tokens:
            raise DataError(
                f"{file}: {quote_foreign(tokens[index], 40)} and {quote_foreign(token, 40)} both have the id "
                f"{index}; expected ids of their own"
            )
        tokens[index] = token


def read_merges(file: Path) -> list[tuple[int, str, str]]:
    """The pairs of ``merges.txt`` with the numbers of their lines."""
    merges = []
    for number, line in enumerate(read_text(file, "two pieces in each line").split("\n"), 1):
        line = line.removesuffix("\r")
        if not line or (number == 1 and line.startswith("#version")):
            continue
        pieces = line.split(" ")
        if len(pieces) != 2 or not all(pieces):
            raise DataError(
                f"{file}, line {number}: {quote_foreign(line)}; expected two pieces, one blank between"
            )
        merges.append((number, pieces[0], pieces[1]))
    return merges


def check_merges(file: Path, merges: Iterable[tuple[int, str, str]], ids: Mapping[str, int]) -> None:
    """Every merge is of two tokens, into a token."""
    for number, left, right in merges:
        for piece in (left, right, left + right):
            if piece not in ids:
                raise DataError(
                    f"{file}: merge {number} ({quote_foreign(f'{left} {right}', 60)}) is of the unknown token "
                    f"{quote_foreign(piece, 60)}; expected tokens of the vocabulary"
                )


def check_tokenizer_json(file: Path) -> dict[str, int]:
    """``tokenizer.json``, by our own checks and by the library's; token -> id of the pieces and the added tokens."""
    document = read_json_object(file, "a tokenizer", LARGEST_PIECES)
    check_byte_order_mark(file)
    valid: _TokenizerFile = validate(_TokenizerFile, file, document)
    ids: dict[str, int] = {}
    if valid.model.get("type") in (None, "BPE") or "merges" in valid.model:
        ids |= check_bpe_model(file, valid.model)
    else:
        validate(_OtherModel, file, valid.model)
    ask_library(file)
    return ids | {token.content: token.id for token in valid.added_tokens}


def check_bpe_model(file: Path, document: Mapping[str, Any]) -> dict[str, int]:
    """The pieces of byte-pair encoding; token -> id."""
    model: _BpeModel = validate(_BpeModel, file, document)
    check_distinct_ids(file, model.vocab)
    if model.unk_token is not None and model.unk_token not in model.vocab:
        raise DataError(
            f"{file}: the unknown token {quote_foreign(model.unk_token)} is not in the vocabulary; expected one of it"
        )
    merges = []
    for number, merge in enumerate(model.merges, 1):
        pieces = merge.split(" ") if isinstance(merge, str) else merge
        if len(pieces) != 2:
            raise DataError(f"{file}: merge {number} is {quote_foreign(merge)}; expected two pieces")
        merges.append((number, pieces[0], pieces[1]))
    if not model.continuing_subword_prefix:  # with one, a merge leaves it out of its second piece
        check_merges(file, merges, model.vocab)
    return model.vocab


def ask_library(file: Path) -> None:
    """Let ``tokenizers`` read a ``tokenizer.json`` and encode a text with it."""
    from tokenizers import Tokenizer

    with loading_file(file, "a whole tokenizer.json"):
        tokenizer = Tokenizer.from_file(str(file))
        tokenizer.no_truncation()
        tokenizer.no_padding()
        tokenizer.encode(PROBE, add_special_tokens=True)
        text = tokenizer.decode(
            tokenizer.encode(PROBE, add_special_tokens=False).ids, skip_special_tokens=False
        )
    check_probe(file, text)


def check_probe(file: Path, text: str) -> None:
    """Refuse a tokenizer that makes another text of the probe, but for capitals and blanks at the ends."""
    decoded, original = text.strip().casefold(), PROBE.strip().casefold()
    if decoded != original:
        pairs = zip(decoded, original, strict=False)
        at = next((place for place, (left, right) in enumerate(pairs) if left != right), len(decoded))
        output, source = (quote_foreign(part[at : at + 20], 40) for part in (decoded, original))
        raise DataError(
            f"{file}: makes {output} of {source}; expected a tokenizer that loses nothing of a text"
        )


def check_largest_id(path: Path, ids: Mapping[str, int], vocabulary: int) -> None:
    """No id lies beyond the embedding."""
    if not ids:
        return
    token, largest = max(ids.items(), key=lambda item: item[1])
    if largest >= vocabulary:
        raise DataError(
            f"{path}: the tokenizer's {quote_foreign(token, 40)} has the id {largest:,} and the model {vocabulary:,} "
            "embeddings; expected the tokenizer that belongs to these weights"
        )
