"""`bench models`: the backbones, and whether the weights that bear a published name are the published ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from bench.cli import print_json, print_lines
from bench.cli.options import json_option, offline_option
from bench.cli.parameters import add_argument
from bench.cli.tables import print_table

if TYPE_CHECKING:
    from bench.models.verification import PublishedFiles


@click.group(
    "models",
    epilog="""\b
Examples:
  bench models list
  bench models verify gpt2-medium bart-large       compare with the published checksums, keep a proof
  bench models verify DIR --offline --json         by what is here already""",
)
def command() -> None:
    """List the backbones, and prove that weights are the published ones."""


@command.command("list")
@json_option
def list_(as_json: bool) -> None:
    """Every backbone and where its weights come from, as `bench list models`."""
    from bench.cli.listing import list_models

    rows = list_models()
    if as_json:
        print_json(rows)
    else:
        print_table(list(rows[0]), [list(row.values()) for row in rows])


@command.command("verify")
@add_argument("models", nargs=-1, required=True, metavar="NAME|DIR...")
@offline_option
@json_option
def verify_(models: tuple[str, ...], offline: bool, as_json: bool) -> int:
    """Compare every file of published models with the published checksums; exit 1 if one is not verified.

    By the checksums that ship with the harness, the hub's cache or an earlier proof; where these do not say it, the
    hub is asked for its checksums, and bench-proof.json is left beside the weights. Nothing is downloaded.
    """
    documents = [verify_model(model, offline) for model in models]
    if as_json:
        print_json(documents if len(documents) > 1 else documents[0])
    else:
        for document in documents:
            print_verification(document)
    return 0 if all(document["status"] == "verified" for document in documents) else 1


def verify_model(model: str, offline: bool) -> dict[str, Any]:
    """What is known of the content of one model's files; asks the hub where that is needed and allowed."""
    from bench.errors import UnavailableError
    from bench.models import verification
    from bench.models.catalogue import locate_published_files

    files = locate_published_files(model)
    known = verification.check_content(files)
    compared: list[verification.ComparedFile] = []
    question = None
    if not known.is_verified and not offline and verification.find_contradiction(files) is None:
        try:
            known, compared = verification.verify_with_hub(files)
        except UnavailableError as error:
            question = str(error)
    return {
        "model": files.name,
        "path": str(files.folder),
        **known.to_json(),
        "hub": question,
        "files": verification.to_json(compared) or list_digests(files),
        "text": known.describe(),
    }


def list_digests(files: PublishedFiles) -> list[dict[str, Any]]:
    """The files that loading reads, with what they hash to."""
    return [{"file": name, **digest._asdict()} for name, digest in files.digests.items()]


def print_verification(document: dict[str, Any]) -> None:
    """One model: the conclusion, and a line per file."""
    print_lines(f"{document['model']} ({document['path']}): {document['text']}")
    if document["hub"] is not None:
        print_lines(
            f"  {document['hub']}; on a machine with a network: bench models verify {document['path']}"
        )
    for file in document["files"]:
        print_lines(
            f"  {file.get('status', ''):<14}{file['sha256'][:16]}  {file['size']:>15,}  {file['file']}"
        )
