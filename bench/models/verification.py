"""Whether the weights that bear a published model's name are the published ones, and how that is known.

Three things can say it, each checked against what the files hash to at every look:

- the checksums that ship with the harness (``bench.models.checksums``);
- the layout of the hub's cache at the pinned revision, which names a file by its checksum;
- a proof file beside the weights, written by ``bench models verify`` after it compared every file with the
  hub's checksums. Copied beside other weights it does not fit them, and is refused.

A proof is the word of whoever wrote it, as a record is; both keep the checksums, so that anybody can compare them
with the hub's. Where a checksum ships with the harness, no proof outweighs it.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, NoReturn

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from bench.errors import DataError, UnavailableError, first_line
from bench.foreign_text import escape_controls
from bench.models.checkpoint_files import (
    WEIGHTS_FILE,
    FileDigest,
    find_hub_blob,
    hash_git_blob,
)
from bench.models.checksums import SHIPPED_CHECKSUMS
from bench.system.files import read_bytes
from bench.system.hub import HubFile, PinnedRepository, fetch_file_list
from bench.system.json_files import JsonObject, parse_json, write_json_atomic
from bench.system.outputs import CommandInput, check_output_file
from bench.system.provenance import format_current_time

PROOF_FILE = "bench-proof.json"
LARGEST_PROOF = 1 << 20  # bytes; a proof of a hundred shards has 20 kB
SHA256_NAME, SHA1_NAME = re.compile(r"[0-9a-f]{64}"), re.compile(r"[0-9a-f]{40}")


class VerificationStatus(StrEnum):
    """Whether weights are known to be the published ones."""

    VERIFIED = "verified"
    NOT_VERIFIED = "not-verified"
    NOT_PUBLISHED = "not-published"
    """They do not bear the name of a published model."""


class VerificationMethod(StrEnum):
    """What says that weights are the published ones."""

    SHIPPED_CHECKSUMS = "shipped-checksums"
    HUB_CACHE = "hub-cache"
    PROOF_FILE = "proof-file"


METHOD_TEXTS = {
    VerificationMethod.SHIPPED_CHECKSUMS: "the harness's checksums",
    VerificationMethod.HUB_CACHE: "the hub's cache at the pinned revision",
    VerificationMethod.PROOF_FILE: f"{PROOF_FILE} beside the weights",
}


@dataclass(frozen=True)
class ModelVerification:
    """What is known of the weights' content; ``reason`` says in words why they are not verified."""

    status: VerificationStatus
    method: VerificationMethod | None = None
    revision: str | None = None
    sha256: Mapping[str, str] = field(default_factory=dict)
    """File -> checksum, of all files that loading reads."""
    reason: str | None = None

    @property
    def is_verified(self) -> bool:
        return self.status is VerificationStatus.VERIFIED

    def describe(self) -> str:
        """In words, for listings."""
        if self.method is not None:
            return f"verified by {METHOD_TEXTS[self.method]}"
        return f"not verified: {self.reason}" if self.status is VerificationStatus.NOT_VERIFIED else ""

    def to_json(self) -> JsonObject:
        """As records have it."""
        return {
            "status": self.status.value,
            "how": None if self.method is None else self.method.value,
            "revision": self.revision,
            "sha256": dict(self.sha256),
            "reason": self.reason,
        }


NOT_PUBLISHED = ModelVerification(VerificationStatus.NOT_PUBLISHED)


@dataclass(frozen=True)
class PublishedFiles:
    """Files that bear a published model's name: where they are and what they hash to."""

    name: str
    pinned: PinnedRepository
    folder: Path
    digests: Mapping[str, FileDigest]

    def conclude(self, method: VerificationMethod | None, reason: str | None = None) -> ModelVerification:
        """The verification by ``method``, or that there is none."""
        status = VerificationStatus.NOT_VERIFIED if method is None else VerificationStatus.VERIFIED
        checksums = {name: digest.sha256 for name, digest in self.digests.items()}
        in_words = None if reason is None else escape_controls(reason)
        return ModelVerification(status, method, self.pinned.revision, checksums, in_words)


# --- the proof file


_Sha256 = Annotated[str, StringConstraints(strict=True, pattern=r"^[0-9a-f]{64}$")]
_FileName = Annotated[
    str,
    StringConstraints(strict=True, pattern=r"^(additional_chat_templates/)?[A-Za-z0-9_][A-Za-z0-9_.+-]*$"),
]


class _ProofPart(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class ProvenFile(_ProofPart):
    """One file as it was compared with the hub; ``size`` in bytes."""

    sha256: _Sha256
    size: Annotated[int, Field(ge=0)]


class Proof(_ProofPart):
    """``bench-proof.json``: that every file of a folder was compared with the hub's checksums."""

    format: Literal[1]
    model: str
    repository: str
    revision: str
    files: dict[_FileName, ProvenFile]
    checked: str
    """When, as ISO 8601."""
    how: Literal["hub-checksums"]


def read_proof(file: Path) -> Proof:
    """The proof in ``file``; ``DataError`` for what is none: a link, a pipe, too large, not as declared."""
    status = file.lstat()
    if not stat.S_ISREG(status.st_mode):
        refuse_proof(file, "a link or no regular file; a proof is a file of its own")
    if status.st_size > LARGEST_PROOF:
        refuse_proof(file, f"{status.st_size:,} bytes; a proof has at most {LARGEST_PROOF:,}")
    document = parse_json(file, read_bytes(file))
    try:
        return Proof.model_validate(document)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        place = ".".join(map(str, problem["loc"]))[:100] or "the top"
        refuse_proof(file, f"not a proof ({place}: {problem['msg']})")


def refuse_proof(file: Path, problem: str) -> NoReturn:
    """Raise ``DataError``: records have the problem, which names no folder, and a user gets both."""
    raise DataError(f"{file}: {problem}", problem)


def find_proof_difference(proof: Proof, files: PublishedFiles) -> str | None:
    """How a proof does not fit the files that it lies beside, in words; None where it does."""
    if (proof.model, proof.repository, proof.revision) != (
        files.name,
        files.pinned.repository,
        files.pinned.revision,
    ):
        return (
            f"it is of {proof.model[:60]!r} at {proof.revision[:40]!r}, not of {files.name} at {files.pinned}"
        )
    for name, digest in files.digests.items():
        proven = proof.files.get(name)
        if proven is None:
            return f"it says nothing of {name}"
        if (proven.sha256, proven.size) != tuple(digest):
            return f"{name} is another file than the one that it is of"
    return None


def write_proof(files: PublishedFiles) -> Path:
    """Leave the proof that all files were compared with the hub's checksums; returns where."""
    proven = {
        name: ProvenFile(sha256=digest.sha256, size=digest.size) for name, digest in files.digests.items()
    }
    proof = Proof(
        format=1,
        model=files.name,
        repository=files.pinned.repository,
        revision=files.pinned.revision,
        files=proven,
        checked=format_current_time(),
        how="hub-checksums",
    )
    path = files.folder / PROOF_FILE
    write_json_atomic(path, proof.model_dump())
    return path


# --- what is known without a network


def check_content(files: PublishedFiles) -> ModelVerification:
    """What is known of the files on this machine: by shipped checksums, the hub's cache or a proof file."""
    if (contradiction := find_contradiction(files)) is not None:
        return files.conclude(None, contradiction)
    shipped = SHIPPED_CHECKSUMS.get(files.name, {})
    unknown = [name for name, digest in files.digests.items() if shipped.get(name) != digest.sha256]
    if not unknown:
        return files.conclude(VerificationMethod.SHIPPED_CHECKSUMS)
    if all(is_hub_blob(files, name) for name in unknown):
        return files.conclude(VerificationMethod.HUB_CACHE)
    file = files.folder / PROOF_FILE
    if not file.is_symlink() and not file.exists():
        return files.conclude(None, f"nothing here says what {', '.join(unknown[:3])} should be")
    try:
        difference = find_proof_difference(read_proof(file), files)
    except DataError as error:
        return files.conclude(None, f"{PROOF_FILE} is refused: {error.problem or first_line(error)}")
    if difference is not None:
        return files.conclude(None, f"{PROOF_FILE} does not fit: {difference}")
    return files.conclude(VerificationMethod.PROOF_FILE)


def find_contradiction(files: PublishedFiles) -> str | None:
    """How the weights differ from the checksum that ships with the harness, which no proof outweighs; else None."""
    expected = SHIPPED_CHECKSUMS.get(files.name, {}).get(WEIGHTS_FILE)
    if expected is None:
        return None
    weights = files.digests.get(WEIGHTS_FILE)
    if weights is None:
        return f"the weights are in shards, and are published as {WEIGHTS_FILE}"
    if weights.sha256 == expected:
        return None
    checksums = f"its SHA-256 is {weights.sha256[:16]}…, the published {expected[:16]}…"
    return f"{WEIGHTS_FILE} is not the published file: {checksums}"


def is_hub_blob(files: PublishedFiles, name: str) -> bool:
    """Whether a file lies in the hub's cache of the pinned revision and is what its blob's name says."""
    folder = files.folder.resolve()
    repository = "models--" + files.pinned.repository.replace("/", "--")
    blob = find_hub_blob(folder / name)
    if blob is None or folder.name != files.pinned.revision or folder.parent.parent.name != repository:
        return False
    if SHA256_NAME.fullmatch(blob):
        return blob == files.digests[name].sha256
    return bool(SHA1_NAME.fullmatch(blob)) and blob == hash_git_blob(folder / name)


# --- comparing with the hub

FileListing = Callable[[PinnedRepository], Mapping[str, HubFile]]
"""What asks the hub for the files of a revision; tests give one that asks nobody."""


class ComparedFile(NamedTuple):
    """A file of the folder beside the hub's: ``status`` is ``same``, ``differs`` or ``not-published``."""

    name: str
    status: Literal["same", "differs", "not-published"]
    digest: FileDigest
    expected: str | None
    """The hub's checksum: SHA-256, or git's SHA-1 of a small file."""


def compare_with_hub(files: PublishedFiles, list_files: FileListing = fetch_file_list) -> list[ComparedFile]:
    """Every file that loading reads beside the hub's checksum; ``UnavailableError`` where it cannot be asked."""
    try:
        published = list_files(files.pinned)
    except Exception as error:
        raise UnavailableError(
            f"the hub could not be asked for {files.pinned}: {first_line(error)}"
        ) from error
    compared = []
    for name, digest in files.digests.items():
        hub_file = published.get(name)
        if hub_file is None:
            compared.append(ComparedFile(name, "not-published", digest, None))
            continue
        expected = hub_file.sha256 or hub_file.git_sha1
        computed = digest.sha256 if hub_file.sha256 else hash_git_blob(files.folder / name)
        same = computed == expected and hub_file.size in (None, digest.size)
        compared.append(ComparedFile(name, "same" if same else "differs", digest, expected))
    return compared


def verify_with_hub(
    files: PublishedFiles, list_files: FileListing = fetch_file_list
) -> tuple[ModelVerification, list[ComparedFile]]:
    """Compare all files with the hub's checksums, and write the proof where all are the same.

    Raises ``UserError`` before the hub is asked where the proof could not be written or would replace a file of it.
    """
    inputs = [CommandInput("the model's files", files.folder / name) for name in files.digests]
    check_output_file("the proof", files.folder / PROOF_FILE, inputs)
    compared = compare_with_hub(files, list_files)
    wrong = [file for file in compared if file.status != "same"]
    if wrong:
        problems = ", ".join(f"{file.name} {file.status.replace('-', ' ')}" for file in wrong[:3])
        return files.conclude(None, f"compared with {files.pinned}: {problems}"), compared
    write_proof(files)
    return check_content(files), compared


def to_json(compared: list[ComparedFile]) -> list[dict[str, Any]]:
    """As ``bench models verify --json`` has it."""
    return [
        {"file": file.name, "status": file.status, **file.digest._asdict(), "expected": file.expected}
        for file in compared
    ]
