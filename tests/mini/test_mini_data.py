"""The mini suite: the same bytes everywhere, in the publishers' formats, with nothing leaking into test."""

import csv
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import bench.mini as mini
from bench.mini.corpus import iterate_documents
from bench.mini.pretrain_bart import make_page
from bench.mini.topics import list_categories
from bench.mini.world import Dice, is_held_out, is_name, read_table
from bench.mini.write import (
    make_dart_entries,
    make_e2e_entries,
    make_webnlg_entries,
    make_xsum_articles,
    write_mini,
)
from bench.runs.failures import describe_error
from bench.system.cache_dir import cache_root
from bench.system.files import StorageError

# Of the names and contents of the files. They change with every change of the generators, and then the
# records in results/ that were made with the old data no longer compare.
NEWS_SHA256 = "75155a88a7ed4977a28162fe1c7b6658c3e6aefb742d66aba170f35088e4a606"
TABLES_SHA256 = "d5a905498d3ae0dc4d3aaf1f453222787ea0818f90acc43c7087765404295c93"
PARTS = {
    "e2e": {s: lambda s=s: make_e2e_entries(s) for s in ("train", "dev", "test")},
    "webnlg": {
        "train": lambda: make_webnlg_entries("train"),
        "dev": lambda: make_webnlg_entries("dev"),
        "test": lambda: [*make_webnlg_entries("test"), *make_webnlg_entries("unseen")],
    },
    "dart": {s: lambda s=s: make_dart_entries(s) for s in ("train", "dev", "test")},
}


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mini")
    write_mini(folder)
    return folder


def xml_entries(path: Path) -> list[ElementTree.Element]:
    root = ElementTree.fromstring(path.read_text(encoding="utf-8").encode())
    assert root.tag == "benchmark"
    return root.findall("entries/entry")


def names_in(entries: object, without: tuple[str, ...] = ()) -> set[str]:
    """The invented names among subjects and values, as prose spells them."""
    found = set()
    for entry in entries:
        for t in entry.triples:
            if t.subject != "[TABLECONTEXT]" and t.subject_kind not in without:
                found.add(t.subject.replace("_", " "))
            if is_name(t.value_kind) and t.value_kind not in without:
                found.add(t.value.replace("_", " "))
    return found


def test_same_bytes_as_ever(suite: Path) -> None:
    hashes = mini.file_hashes(suite)
    for news, expected in ((True, NEWS_SHA256), (False, TABLES_SHA256)):
        part = {path: digest for path, digest in hashes.items() if path.startswith("xsum/") == news}
        assert hashlib.sha256(json.dumps(part, sort_keys=True).encode()).hexdigest() == expected


def test_same_bytes_with_another_hash_seed(tmp_path: Path, suite: Path) -> None:
    code = (
        "import sys, pathlib; from bench.mini.write import write_mini; write_mini(pathlib.Path(sys.argv[1]))"
    )
    env = {**os.environ, "PYTHONHASHSEED": "7"}
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "again")], check=True, env=env)
    assert mini.file_hashes(tmp_path / "again") == mini.file_hashes(suite)


@pytest.mark.parametrize("task", PARTS)
@pytest.mark.parametrize("split", ["train", "dev", "test"])
def test_declared_row_counts(task: str, split: str) -> None:
    entries = list(PARTS[task][split]())
    sources = {tuple((t.subject, t.property, t.value) for t in e.triples) for e in entries}
    assert (sum(len(e.texts) for e in entries), len(sources)) == mini.MINI_ROWS[task][split]
    if split == "test":
        assert len(sources) == len(entries), "a test source occurs twice"
        assert sum(len(e.texts) > 1 for e in entries) > 0.9 * len(entries)


def test_e2e_files(suite: Path) -> None:
    for split, name in (("train", "trainset"), ("dev", "devset"), ("test", "testset_w_refs")):
        with (suite / "e2e" / f"{name}.csv").open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))
        assert (len(rows), len({r["mr"] for r in rows})) == mini.MINI_ROWS["e2e"][split]
        assert all(re.fullmatch(r"name\[[^]]+\](, [a-zA-Z ]+\[[^]]+\])+", r["mr"]) for r in rows)
        assert all(r["ref"].endswith(".") for r in rows)
    head, *sources = (suite / "e2e" / "testset.csv").read_text(encoding="utf-8").splitlines()
    assert head == "MR"
    assert len(sources) == mini.MINI_ROWS["e2e"]["test"][1]
    assert (suite / "e2e" / "trainset.csv").read_bytes().startswith(b"mr,ref\r\n")
    assert (suite / "e2e" / "testset_w_refs.csv").read_bytes().startswith(b'"mr","ref"\n')


@pytest.mark.parametrize("split", ["train", "dev"])
def test_webnlg_training_files(suite: Path, split: str) -> None:
    folder = suite / "webnlg" / "webnlg_challenge_2017" / split
    found, good, to_fix = 0, 0, 0
    for path in folder.rglob("*.xml"):
        size = int(path.parent.name.removesuffix("triples"))
        for entry in xml_entries(path):
            assert entry.get("size") == str(size) == str(len(entry.findall(".//mtriple")))
            assert f"_{entry.get('category')}_{split}_challenge" in path.name
            assert entry.find("originaltripleset") is not None
            marks = [lex.get("comment") for lex in entry.findall("lex")]
            good, to_fix = good + marks.count("good"), to_fix + marks.count("toFix")
            found += 1
    assert good == mini.MINI_ROWS["webnlg"][split][0]
    assert found >= mini.MINI_ROWS["webnlg"][split][1]
    assert to_fix > 0


def test_webnlg_test_files(suite: Path) -> None:
    folder = suite / "webnlg" / "webnlg_challenge_2017" / "test"
    full = xml_entries(folder / "testdata_with_lex.xml")
    bare = xml_entries(folder / "testdata_no_lex.xml")
    unseen = xml_entries(folder / "testdata_unseen_with_lex.xml")
    assert [e.get("eid") for e in full] == [f"Id{n}" for n in range(1, len(full) + 1)]
    assert [e.get("eid") for e in unseen] == [f"Id{n}" for n in range(1, len(unseen) + 1)]
    assert [e.findtext(".//mtriple") for e in full] == [e.findtext(".//mtriple") for e in bare]
    assert not any(e.findall("lex") for e in bare)
    assert {e.get("category") for e in unseen} == set(list_categories(seen=False))
    assert {e.get("category") for e in full} == set(read_table("world")["category"])
    assert sum(e.get("category") in list_categories(seen=True) for e in full) * 2 == len(full)


def test_dart_files(suite: Path) -> None:
    for split in ("train", "dev", "test"):
        pages = json.loads((suite / "dart" / f"dart-v1.1.1-full-{split}.json").read_text())
        texts = [a["text"] for p in pages for a in p["annotations"]]
        assert (len(texts), len(pages)) == mini.MINI_ROWS["dart"][split]
        assert all(len(t) == 3 and all(t) for p in pages for t in p["tripleset"])
    entries = xml_entries(suite / "dart" / "dart-v1.1.1-full-test.xml")
    assert [lex.text for e in entries for lex in e.findall("lex")] == texts
    assert [" | ".join(t) for p in pages for t in p["tripleset"]] == [
        t.text for e in entries for t in e.iter("mtriple")
    ]
    relations = {t[1] for p in pages for t in p["tripleset"]}
    assert {"[TITLE]", "eatType"} <= relations
    assert {a["source"] for p in pages for a in p["annotations"]} == {
        "e2e",
        "webnlg",
        "WikiSQL_decl_sents",
        "WikiTableQuestions_lily",
    }


def test_xsum_files(suite: Path) -> None:
    folder = suite / "xsum"
    addresses = [line.split() for line in (folder / "XSum-WebArxiveUrls-BBCids.txt").read_text().splitlines()]
    urls = {number: url for url, number in addresses}
    ids = []
    for split, name in (("train", "train"), ("dev", "validation"), ("test", "test")):
        rows = [json.loads(line) for line in (folder / f"{name}.jsonl").read_text().splitlines()]
        assert (len(rows), len({row["document"] for row in rows})) == mini.MINI_ROWS["xsum"][split]
        assert all(row.keys() == {"document", "summary", "id"} for row in rows)
        assert all(urls[row["id"]].endswith((f"-{row['id']}", f"/{row['id']}")) for row in rows)
        ids += [row["id"] for row in rows]
    assert len(set(ids)) == len(ids) == len(urls) == len(addresses)
    assert all(url.startswith("http://web.archive.org/web/20") for url in urls.values())


def test_no_test_place_in_other_articles() -> None:
    places = {}
    for split in ("train", "validation", "test"):
        texts = " ".join(" ".join([*a.paragraphs, a.summary]) for _, a in make_xsum_articles(split))
        # Surnames end otherwise; they may well be shared.
        words = set(re.findall(r"\b[A-Z][a-z]{4,}\b", texts))
        places[split] = {
            word for word in words if word.endswith(tuple(read_table("world")["words"]["placeend"]))
        }
    test, other = places["test"], places["train"] | places["validation"]
    assert len(test) > 100 and len(other) > 500
    assert not test & other
    pages = " ".join("".join(make_page(number)) for number in range(3000))
    assert not test & set(re.findall(r"\b[A-Z][a-z]{4,}\b", pages))


def test_no_test_name_elsewhere() -> None:
    test = set.union(*(names_in(part["test"]()) for part in PARTS.values()))
    other = set.union(*(names_in(part[split]()) for part in PARTS.values() for split in ("train", "dev")))
    assert len(test) > 500
    assert not test & other
    # A language can be part of a league's name, and a title is made of everyday words: such names
    # say nothing about anyone. All others must not even be part of a longer name in the corpus.
    everyday = ("language", "album", "book")
    test = set.union(*(names_in(part["test"](), everyday) for part in PARTS.values()))
    assert len(test) > 500
    # Every run of up to four words of the first pages of the corpus.
    words = [re.findall(r"[\w.'()]+", d.replace("_", " ")) for d in iterate_documents(4000)]
    runs = {" ".join(w[i : i + n]) for w in words for n in range(1, 5) for i in range(len(w))}
    assert runs & other, "the corpus should share names with training data"
    assert not runs & test


def test_dice_are_named_and_fair() -> None:
    assert [Dice("a").below(1000) for _ in range(2)] == [Dice("a").below(1000)] * 2
    assert Dice("a").below(10**9) != Dice("b").below(10**9)
    dice = Dice("fair")
    draws = [dice.weighted({"x": 3.0, "y": 1.0, "z": 0.0}) for _ in range(4000)]
    assert 0.7 < draws.count("x") / 4000 < 0.8
    assert "z" not in draws
    assert sorted(dice.shuffled(range(9))) == list(range(9))
    assert {is_held_out(f"word {n}") for n in range(99)} == {True, False}


def test_every_wording_can_be_said() -> None:
    world, wording = read_table("world"), read_table("wording")
    lists = [c["properties"] for part in ("category", "table") for c in world[part].values()]
    keys = {k for ks in [*lists, *world["chain"].values(), world["restaurant"]["properties"]] for k in ks}
    assert keys == {k for k in wording if "=" not in k}
    for key, words in wording.items():
        value = key.partition("=")[2]
        # Where every value of a list has its own wording, the general one need not name it.
        general = value or key == "familyFriendly"
        assert all("{o}" in text or general for text in words["vp"] + words.get("mod", []))
        assert all("{s}" in text for text in words.get("inv", []))


def test_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    with ThreadPoolExecutor(4) as pool:  # several at once on an empty cache
        (made,) = {f.result() for f in [pool.submit(mini.mini_data_dir) for _ in range(4)]}
    assert [p.name for p in (tmp_path / "cache").iterdir()] == [made.name]
    before = mini.file_hashes(made)
    (made / "e2e" / "testset.csv").write_text("damaged")
    shutil.rmtree(made / "dart")
    assert mini.mini_data_dir() == made
    assert mini.file_hashes(made) == before
    stamp = (made / "e2e" / "testset.csv").stat().st_mtime_ns
    mini.mini_data_dir()
    assert (made / "e2e" / "testset.csv").stat().st_mtime_ns == stamp, "intact, yet made again"


def test_a_cache_that_cannot_be_written_is_about_storage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_CACHE", "/proc/foo")
    with pytest.raises(StorageError, match="BENCH_CACHE") as caught:
        mini.mini_data_dir()
    assert describe_error(caught.value)["kind"] == "storage"


def test_cache_root_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("BENCH_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_root() == tmp_path / "prefix-bench"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_root() == Path.home() / ".cache" / "prefix-bench"


def test_needs_no_torch() -> None:
    code = "import sys; from bench.mini.write import write_mini; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
