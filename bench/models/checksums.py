"""Published SHA-256 of the files of the paper's backbones, at the revisions that ``bench.models.catalogue`` pins.

They were not taken from the hub itself, which could not be asked, but from manifests in public repositories of
others who pin these revisions, and only what several of them agree on is here:

- ``gpt2-medium``: the weights from a manifest of all files of the revision, with sizes, and from two inventories of
  another project, one of which names the hub's own LFS checksum. ``config.json``, ``vocab.json``, ``merges.txt``
  and ``tokenizer.json`` also from copies of the files.
- ``gpt2-large``: the weights from three independent projects; the configuration's from one of them, confirmed by
  hashing its text. The tokenizer is GPT-2's, the same for all sizes: a file that differs from it is not wrong, but
  not known from here.
- ``vocab.json`` and ``merges.txt`` are OpenAI's ``encoder.json`` and ``vocab.bpe``, with the checksums that
  tiktoken has for them.
- ``bart-large``: no source for the safetensors of the pinned revision was found; none is given.

A file that is not listed is known by the hub's cache or by a proof file (``bench.models.verification``).
"""

from __future__ import annotations

from collections.abc import Mapping

_GPT2_TOKENIZER = {
    "vocab.json": "196139668be63f3b5d6574427317ae82f612a97c5d1cdaf36ed2256dbf636783",
    "merges.txt": "1ce1664773c50f3e0cc8842619a93edc4624525b728b188a9e0be33b7726adc5",
    "tokenizer.json": "8414cab924d8b9b33013f0d221c5862f365ee9be39c5c2bfae8a5a9e970478a6",
    "tokenizer_config.json": "5e04eb606e3a1583530a42e36c2a6b6615c86f34fe77e44d9ddeb43ff940931f",
}
SHIPPED_CHECKSUMS: Mapping[str, Mapping[str, str]] = {
    "gpt2-medium": {
        "model.safetensors": "fc5a354a19255ad494f3d71549390baca1ccf61d1d822b9408971705c687c9cd",
        "config.json": "ef1a44d889ad1a0acc7731c78134f1b87d2d222f110e97dd10fd4117331caf22",
        "generation_config.json": "b90eadacf585a743a30ea51e8b5c88b8d282a2a34dc0c7e556d0987cdbd68805",
        **_GPT2_TOKENIZER,
    },
    "gpt2-large": {
        "model.safetensors": "5f47f3e12f91cd33b662ce7e433b6150ad5512b5884a2cee961b50e9c3bbebce",
        "config.json": "7fccdcfd6622055342a734c663ee0b61ff4fd697f42467595df0bf4448c8c170",
        **_GPT2_TOKENIZER,
    },
}
"""Name of a model -> file -> SHA-256. Weights that differ from theirs are never the published ones."""
