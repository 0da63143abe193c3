"""Whether weights are known to be the published ones, and that nothing else makes them so."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from published_models import get_files, list_as_hub, publish, take_shape
from safetensors.torch import load_file, save_file

from bench.config.comparability import IncomparableKind
from bench.config.request import CommonOptions, expand_requests, specify_run
from bench.errors import DataError, UnavailableError, UserError
from bench.models import verification
from bench.models.catalogue import MODELS, LocatedModel, find_published_entry, locate_model
from bench.models.checkpoint_files import digest_checkpoint, hash_git_blob
from bench.models.checksums import SHIPPED_CHECKSUMS
from bench.models.verification import (
    PROOF_FILE,
    VerificationMethod,
    VerificationStatus,
    check_content,
    compare_with_hub,
    read_proof,
    verify_with_hub,
)
from bench.system.files import sha256_file
from bench.system.hub import HubFile, PinnedRepository
from bench.task import Prepared


@pytest.fixture
def medium(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small random model in BENCH_MODELS, in the place and of the shape of gpt2-medium; nothing proves it."""
    folder = tmp_path / "models" / "gpt2-medium"
    shutil.copytree(tiny_model, folder)
    monkeypatch.setenv("BENCH_MODELS", str(folder.parent))
    take_shape(monkeypatch, "gpt2-medium", folder)
    return folder


@pytest.fixture
def proven(medium: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    publish(monkeypatch, "gpt2-medium", medium)
    return medium


def locate() -> LocatedModel:
    return locate_model("gpt2-medium", allow_download=False)


def change_weights(folder: Path) -> None:
    """Other weights of the same shape."""
    state = load_file(folder / "model.safetensors")
    state["transformer.ln_f.bias"] = state["transformer.ln_f.bias"] + 1
    save_file(state, folder / "model.safetensors", {"format": "pt"})


def change_proof(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    document = json.loads((folder / PROOF_FILE).read_text())
    change(document)
    (folder / PROOF_FILE).write_text(json.dumps(document))


# --- what proves


def test_without_proof_nothing_is_known(medium: Path) -> None:
    found = locate().verification
    assert (found.status, found.method) == (VerificationStatus.NOT_VERIFIED, None)
    assert (
        found.reason
        == "nothing here says what config.json, model.safetensors, generation_config.json should be"
    )
    assert (
        set(found.sha256) == set(digest_checkpoint(medium))
        and found.revision == MODELS["gpt2-medium"].revision
    )


def test_a_proof_is_checked_against_the_files_without_a_network(proven: Path) -> None:
    found = locate().verification
    assert (found.status, found.method) == (VerificationStatus.VERIFIED, VerificationMethod.PROOF_FILE)
    proof = read_proof(proven / PROOF_FILE)
    assert (proof.model, proof.how) == ("gpt2-medium", "hub-checksums")
    assert {name: file.sha256 for name, file in proof.files.items()} == found.sha256
    fingerprint = locate().fingerprint
    (proven / PROOF_FILE).unlink()
    assert locate().fingerprint == fingerprint  # a proof is no part of what a run is
    assert not locate().verification.is_verified


def test_the_checksums_that_ship_with_the_harness_need_no_proof(
    medium: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checksums = {name: digest.sha256 for name, digest in digest_checkpoint(medium).items()}
    monkeypatch.setattr(verification, "SHIPPED_CHECKSUMS", {"gpt2-medium": checksums})
    assert locate().verification.method is VerificationMethod.SHIPPED_CHECKSUMS
    (medium / "special_tokens_map.json").write_text("{}")
    assert "special_tokens_map.json" in str(locate().verification.reason)


def test_a_shipped_checksum_outweighs_a_proof(proven: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert locate().verification.is_verified
    checksums = {"gpt2-medium": {"model.safetensors": "0" * 64}}
    monkeypatch.setattr(verification, "SHIPPED_CHECKSUMS", checksums)
    assert "model.safetensors is not the published file" in str(locate().verification.reason)


def test_published_weights_in_shards_are_not_known_by_name(
    medium: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import GPT2LMHeadModel

    model = GPT2LMHeadModel.from_pretrained(medium)
    (medium / "model.safetensors").unlink()
    model.save_pretrained(medium, max_shard_size="20KB")
    publish(monkeypatch, "gpt2-medium", medium)
    assert locate().verification.method is VerificationMethod.PROOF_FILE
    monkeypatch.setattr(verification, "SHIPPED_CHECKSUMS", SHIPPED_CHECKSUMS)
    assert "the weights are in shards" in str(locate().verification.reason)


def test_shipped_checksums_are_checksums_of_published_models() -> None:
    for name, files in SHIPPED_CHECKSUMS.items():
        assert MODELS[name].pinned is not None
        assert all(verification.SHA256_NAME.fullmatch(checksum) for checksum in files.values())
        assert {"model.safetensors", "config.json"} <= set(files)
    assert len({files["model.safetensors"] for files in SHIPPED_CHECKSUMS.values()}) == len(SHIPPED_CHECKSUMS)


def test_the_tokenizer_here_is_the_one_of_the_shipped_checksums(gpt2_words: Path) -> None:
    for file in gpt2_words.iterdir():
        assert SHIPPED_CHECKSUMS["gpt2-medium"][file.name] == sha256_file(file)


# --- the hub's cache


def make_cache(folder: Path, root: Path, model: str = "gpt2-medium", revision: str | None = None) -> Path:
    """The snapshot of a cache in which the hub has the weights in LFS and the other files in git."""
    entry = MODELS[model]
    repository = root / f"models--{str(entry.hub).replace('/', '--')}"
    snapshot = repository / "snapshots" / (revision or str(entry.revision))
    snapshot.mkdir(parents=True)
    (repository / "blobs").mkdir()
    for name in digest_checkpoint(folder):
        in_lfs = name == "model.safetensors"
        blob = sha256_file(folder / name) if in_lfs else hash_git_blob(folder / name)
        shutil.copy(folder / name, repository / "blobs" / blob)
        (snapshot / name).symlink_to(f"../../blobs/{blob}")
    return snapshot


def from_cache(snapshot: Path, monkeypatch: pytest.MonkeyPatch) -> LocatedModel:
    monkeypatch.delenv("BENCH_MODELS")
    monkeypatch.setattr("bench.models.catalogue.fetch_snapshot", lambda *_: snapshot)
    return locate()


def test_the_hubs_cache_at_the_pinned_revision_proves(
    medium: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = locate().fingerprint
    located = from_cache(make_cache(medium, tmp_path / "hub"), monkeypatch)
    assert located.verification.method is VerificationMethod.HUB_CACHE
    assert located.fingerprint == before


def test_a_folder_that_is_a_link_to_the_cache_is_proven_too(medium: Path, tmp_path: Path) -> None:
    snapshot = make_cache(medium, tmp_path / "hub")
    shutil.rmtree(medium)
    medium.symlink_to(snapshot)
    assert locate().verification.method is VerificationMethod.HUB_CACHE


def test_a_blob_may_link_to_a_shared_store(
    medium: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = make_cache(medium, tmp_path / "hub")
    for blob in (snapshot.parents[1] / "blobs").iterdir():
        blob.rename(tmp_path / blob.name)
        blob.symlink_to(tmp_path / blob.name)
    assert from_cache(snapshot, monkeypatch).verification.is_verified


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_a_damaged_blob_is_seen(
    name: str, medium: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = make_cache(medium, tmp_path / "hub")
    if name == "config.json":
        (snapshot / name).write_text((snapshot / name).read_text() + " ")
    else:
        change_weights(snapshot)
        assert not (snapshot / name).is_symlink()
        blob = next((snapshot.parents[1] / "blobs").glob("?" * 64))
        shutil.move(snapshot / name, blob)
        (snapshot / name).symlink_to(f"../../blobs/{blob.name}")
    assert not from_cache(snapshot, monkeypatch).verification.is_verified


def test_another_revision_or_repository_proves_nothing(
    medium: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make_cache(medium, tmp_path / "one", revision="0" * 40)
    assert not check_content(get_files("gpt2-medium", other)).is_verified
    large = make_cache(medium, tmp_path / "two", model="gpt2-large", revision=MODELS["gpt2-medium"].revision)
    assert not check_content(get_files("gpt2-medium", large)).is_verified
    plain = tmp_path / "three" / "models--openai-community--gpt2-medium" / "snapshots"
    shutil.copytree(
        medium, plain / str(MODELS["gpt2-medium"].revision)
    )  # files, no links: as a copy makes them
    assert not from_cache(plain / str(MODELS["gpt2-medium"].revision), monkeypatch).verification.is_verified


# --- attacks on a proof


def test_a_proof_beside_other_weights_is_refused_and_said(proven: Path) -> None:
    change_weights(proven)
    found = locate().verification
    assert found.status is VerificationStatus.NOT_VERIFIED
    assert found.reason == (
        f"{PROOF_FILE} does not fit: model.safetensors is another file than the one that it is of"
    )


@pytest.mark.parametrize("name", ["special_tokens_map.json", "chat_template.jinja"])
def test_a_file_that_the_proof_does_not_know_is_said(name: str, proven: Path) -> None:
    (proven / name).write_text("{}")
    assert f"it says nothing of {name}" in str(locate().verification.reason)


def test_a_file_fewer_than_the_proof_has_changes_nothing_that_is_read(proven: Path) -> None:
    (proven / "generation_config.json").unlink()
    assert locate().verification.is_verified


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda proof: proof.update(model="gpt2-large"), "it is of 'gpt2-large'"),
        (lambda proof: proof.update(revision="main"), "at 'main'"),
        (lambda proof: proof.update(repository="me/gpt2-medium"), "it is of 'gpt2-medium'"),
        (lambda proof: proof["files"].pop("config.json"), "it says nothing of config.json"),
        (lambda proof: proof["files"]["config.json"].update(size=1), "config.json is another file"),
        (lambda proof: proof["files"]["config.json"].update(size=-1), "is refused"),
        (lambda proof: proof["files"]["config.json"].update(size="718"), "is refused"),
        (lambda proof: proof["files"]["config.json"].update(sha256="0"), "is refused"),
        (
            lambda proof: proof["files"].update({"../config.json": proof["files"]["config.json"]}),
            "is refused",
        ),
        (lambda proof: proof["files"].update({"/config.json": proof["files"]["config.json"]}), "is refused"),
        (lambda proof: proof["files"].update({"a\n": proof["files"]["config.json"]}), "is refused"),
        (lambda proof: proof.update(files=[]), "is refused"),
        (lambda proof: proof.update(format=2), "is refused"),
        (lambda proof: proof.update(how="believe me"), "is refused"),
        (lambda proof: proof.update(more=1), "is refused"),
        (lambda proof: proof.pop("checked"), "is refused"),
    ],
)
def test_a_proof_that_says_something_else_is_refused(
    change: Callable[[dict[str, Any]], object], expected: str, proven: Path
) -> None:
    change_proof(proven, change)
    found = locate().verification
    assert not found.is_verified and expected in str(found.reason)
    assert "\n" not in str(found.reason)


@pytest.mark.parametrize("content", [b"", b"[]", b"null", b"{", b"\xff", b"[" * 100_000, b" " * (10 << 20)])
def test_a_file_that_is_no_proof_is_refused(content: bytes, proven: Path) -> None:
    (proven / PROOF_FILE).write_bytes(content)
    found = locate().verification
    assert not found.is_verified and f"{PROOF_FILE} is refused" in str(found.reason)


def test_a_name_given_twice_is_refused(proven: Path) -> None:
    text = (proven / PROOF_FILE).read_text()
    (proven / PROOF_FILE).write_text(text.replace("{", '{"model": "gpt2-medium",', 1))
    assert '"model" is given twice' in str(locate().verification.reason)


def put_special_file(kind: str, file: Path) -> None:
    """A broken link, a pipe or a folder called ``file``."""
    if kind == "broken link":
        file.symlink_to("nowhere")
    elif kind == "pipe":
        os.mkfifo(file)
    else:
        file.mkdir()


@pytest.mark.parametrize("make", ["link", "broken link", "pipe", "folder"])
def test_what_is_no_file_of_its_own_is_no_proof(make: str, proven: Path) -> None:
    file = proven / PROOF_FILE
    file.rename(proven.parent / "kept.json")
    if make == "link":
        file.symlink_to("../kept.json")
    else:
        put_special_file(make, file)
    assert "a link or no regular file" in str(locate().verification.reason)


@pytest.mark.parametrize("make", ["weights", "broken link", "pipe", "folder"])
def test_a_proof_that_cannot_be_written_is_told_before_the_hub_is_asked(make: str, medium: Path) -> None:
    def ask(pinned: PinnedRepository) -> dict[str, HubFile]:
        raise AssertionError(f"asked for {pinned}")

    file, weights = medium / PROOF_FILE, (medium / "model.safetensors").read_bytes()
    if make == "weights":
        file.symlink_to("model.safetensors")
    else:
        put_special_file(make, file)
    with pytest.raises(UserError, match="the proof"):
        verification.verify_with_hub(get_files("gpt2-medium", medium), ask)
    assert (medium / "model.safetensors").read_bytes() == weights


def test_what_a_proof_says_steers_no_terminal_and_names_no_folder(proven: Path) -> None:
    for change in (
        lambda proof: proof.update(model="\x1b[31m\x07"),
        lambda proof: proof.update({"\x1b]0;title\x07": 1}),
        lambda proof: proof["files"].update({"\x1b[2J": 5}),
    ):
        text = (proven / PROOF_FILE).read_text()
        change_proof(proven, change)
        reason = str(locate().verification.reason)
        assert reason.isprintable() and "x1b" in reason and str(proven.parent) not in reason
        (proven / PROOF_FILE).write_text(text)
    (proven / "\x1b[2J.model").write_text("")
    assert str(locate().verification.reason).isprintable()


# --- comparing with the hub


def test_every_file_is_compared_by_the_checksum_that_the_hub_has(medium: Path) -> None:
    files = get_files("gpt2-medium", medium)
    assert {file.status for file in compare_with_hub(files, list_as_hub(medium))} == {"same"}
    listed = dict(list_as_hub(medium)(files.pinned))
    listed["config.json"] = listed["config.json"]._replace(git_sha1="0" * 40)
    listed["model.safetensors"] = listed["model.safetensors"]._replace(sha256="0" * 64)
    listed["tokenizer_config.json"] = listed["tokenizer_config.json"]._replace(size=1)
    del listed["tokenizer.json"]
    statuses = {file.name: file.status for file in compare_with_hub(files, lambda _pinned: listed)}
    assert statuses == dict.fromkeys(files.digests, "same") | {
        "config.json": "differs",
        "model.safetensors": "differs",
        "tokenizer_config.json": "differs",
        "tokenizer.json": "not-published",
    }


def test_no_proof_is_left_where_a_file_differs(medium: Path) -> None:
    files = get_files("gpt2-medium", medium)
    listed = dict(list_as_hub(medium)(files.pinned))
    listed["model.safetensors"] = HubFile(None, "0" * 64, None)
    found, compared = verify_with_hub(files, lambda _pinned: listed)
    assert not found.is_verified and "model.safetensors differs" in str(found.reason)
    assert len(compared) == len(files.digests) and not (medium / PROOF_FILE).exists()


def test_a_file_of_which_the_hub_gives_no_checksum_is_not_taken_for_the_same(medium: Path) -> None:
    files = get_files("gpt2-medium", medium)
    listed = dict.fromkeys(files.digests, HubFile(None, None, None))
    assert {file.status for file in compare_with_hub(files, lambda _pinned: listed)} == {"differs"}


def test_a_hub_that_does_not_answer_is_said(medium: Path) -> None:
    def refuse(_pinned: PinnedRepository) -> dict[str, HubFile]:
        raise OSError("no route\nto host")

    with pytest.raises(UnavailableError, match=r"the hub could not be asked for openai.*no route$"):
        verify_with_hub(get_files("gpt2-medium", medium), refuse)


def test_the_hubs_own_client_is_asked_for_the_pinned_revision(monkeypatch: pytest.MonkeyPatch) -> None:
    from types import SimpleNamespace

    import huggingface_hub

    from bench.system.hub import fetch_file_list

    asked = []

    class Api:
        def model_info(self, repository: str, **options: object) -> SimpleNamespace:
            asked.append((repository, options["revision"], options["files_metadata"]))
            lfs = SimpleNamespace(sha256="a" * 64)
            return SimpleNamespace(
                siblings=[
                    SimpleNamespace(rfilename="w", size=5, lfs=lfs, blob_id="b" * 40),
                    SimpleNamespace(rfilename="c", size=6, lfs=None, blob_id="d" * 40),
                ]
            )

    monkeypatch.setattr(huggingface_hub, "HfApi", Api)
    listed = fetch_file_list(PinnedRepository("a/b", "c" * 40))
    assert asked == [("a/b", "c" * 40, True)]
    assert listed == {"w": HubFile(5, "a" * 64, "b" * 40), "c": HubFile(6, None, "d" * 40)}


def test_a_cache_with_a_tokenizer_alone_is_no_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a download is allowed, the weights are fetched."""
    import huggingface_hub

    from bench.system.hub import fetch_snapshot

    asked = []

    def download(_repository: str, *, local_files_only: bool = False, **_options: object) -> str:
        asked.append(local_files_only)
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    pinned = PinnedRepository("a/b", "c" * 40)
    assert fetch_snapshot(pinned, allow_download=False) == tmp_path and asked == [True]
    assert fetch_snapshot(pinned, allow_download=True) == tmp_path and asked == [True, True, False]
    (tmp_path / "model.safetensors").touch()
    assert fetch_snapshot(pinned, allow_download=True) == tmp_path and asked == [True, True, False, True]


# --- what a run makes of it


def specify(model: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    def find(task: Any, *_: object, **__: object) -> Prepared:
        return Prepared(task, tmp_path, "directory", "d" * 64)

    monkeypatch.setattr("bench.config.request.prepare", find)
    common = CommonOptions(model=model, scale="paper", offline=True)
    [request] = expand_requests("prefix", "webnlg", "101", common)
    return specify_run(request).incomparable


def test_a_run_on_unproven_weights_is_kept_out_of_the_papers_cells(
    medium: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    [reason] = specify(None, tmp_path, monkeypatch)
    assert f"no number of the paper can stand beside these runs: {reason.text}" in capsys.readouterr().err
    assert reason.kind is IncomparableKind.BACKBONE_NOT_VERIFIED
    assert reason.text.startswith("backbone not verified")
    assert reason.text.endswith("; `bench models verify gpt2-medium`")
    publish(monkeypatch, "gpt2-medium", medium)
    assert specify(None, tmp_path, monkeypatch) == []
    assert not capsys.readouterr().err


def test_a_directory_of_the_name_is_the_model_only_if_it_is_proven(
    medium: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BENCH_MODELS")
    [reason] = specify(str(medium), tmp_path, monkeypatch)
    assert (reason.kind, reason.text) == (IncomparableKind.BACKBONE, "backbone: directory gpt2-medium")
    publish(monkeypatch, "gpt2-medium", medium)
    monkeypatch.delenv("BENCH_MODELS")
    assert specify(str(medium), tmp_path, monkeypatch) == []
    medium.rename(medium.parent / "mine")
    [reason] = specify(str(medium.parent / "mine"), tmp_path, monkeypatch)
    assert reason.kind is IncomparableKind.BACKBONE


def test_a_directory_is_known_by_its_name_or_its_shape(medium: Path, tiny_bart: Path, tmp_path: Path) -> None:
    assert find_published_entry(str(medium))[0].name == "gpt2-medium"
    other = medium.rename(tmp_path / "other")
    assert find_published_entry(str(other)) == (MODELS["gpt2-medium"], other)
    with pytest.raises(
        UserError, match=r"of the shape of no published model; bart-large has 12 layers of width 1,024"
    ):
        find_published_entry(str(tiny_bart))
    with pytest.raises(UserError, match="Valid: bart-large, gpt2-large, gpt2-medium"):
        find_published_entry("mini-gpt2")
    with pytest.raises(DataError, match="does not exist"):
        find_published_entry(str(tmp_path / "nowhere"))


def test_what_a_record_keeps_is_plain(proven: Path) -> None:
    document = json.loads(json.dumps(locate().verification.to_json()))
    assert document["status"] == "verified" and document["how"] == "proof-file"
    assert document["sha256"]["model.safetensors"] == sha256_file(proven / "model.safetensors")
    assert dataclasses.replace(verification.NOT_PUBLISHED).to_json()["status"] == "not-published"
