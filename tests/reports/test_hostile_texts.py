"""Texts that attack whoever reads them, in every field of a store's files: nothing of them acts, none floods."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from made_site import generations
from made_up import failed, record, scores

from bench import registry
from bench.cli import main
from bench.store.store import Store
from reports.render.templates import make_html_environment

PAYLOAD = "\x1b]0;owned\x07\x1b[2J\x9b31m\x00\x7f\r\nforged: ok"
PAYLOAD += "\u2028\u202egnp.exe\u2066\u200b\u061c\ufeff\u3164\U000e0041"
FLOOD = "x" * 500_000
INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
FIXED = {"run_id", "status", "kind", "layer", "started", "ended", "how", "scale", "source", "device"}
"""Fields that must be what they are for a record to be read at all."""
MOST = 1_000_000
"""Characters that no answer exceeds: the floods are dozens of half a million each."""


def poison(value: Any, payload: str, name: str = "") -> Any:
    """Every text of a document, and every name in a mapping of free names, with the payload behind it."""
    if isinstance(value, str):
        return value if name in FIXED else value + payload
    if isinstance(value, list):
        return [poison(inner, payload, name) for inner in value]
    if isinstance(value, dict):
        return {inner_name: poison(inner, payload, inner_name) for inner_name, inner in value.items()}
    return value


def list_active(text: str, allowed: str = "\n") -> list[str]:
    """The characters of an answer that a terminal or an editor would act on."""
    return sorted({c for c in text if unicodedata.category(c) in INVISIBLE and c not in allowed})


def write_record(store: Store, document: dict[str, Any]) -> None:
    folder = store.root / document["run_id"] / "records"
    folder.mkdir(parents=True)
    made = {"format": 1, "attempt": 1, "recorded": "2026-01-02T00:00:00+00:00", **document}
    (folder / "0001.json").write_text(json.dumps(made))


def write_generations(store: Store, payload: str) -> None:
    """A run whose every output, fact and reference ends in the payload."""
    document = record()
    write_record(store, document)
    lines = [poison(dict(item), payload, "item") for item in generations("")]
    for line, item in zip(lines, generations(""), strict=True):
        line["id"] = item["id"]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (store.root / document["run_id"] / "generations.jsonl").write_text(text)


def make_documents(payload: str) -> Iterator[dict[str, Any]]:
    """Records that are poisoned in one field each, with names kept and changed, done and failed."""
    whole = record(scores=scores({"bleu": 55.0}, gate="failed", reason="no", status="computed"))
    for name in whole:
        made = record(scores=scores({"bleu": 55.0}), seed=2)
        made[name] = poison(whole[name], payload, name)
        yield made
    for name in ("options", "settings", "scores", "packages", "seconds"):
        made = record()
        made[name] = {**made[name], f"x{payload}": next(iter(made[name].values()))}
        yield made
    for kind in ("error", "cancelled", f"new{payload}"):
        made = failed(kind="error")
        made["error"] = {**poison(made["error"], payload), "kind": kind, "log_tail": f"end{payload}"}
        yield made
    for field in FIXED:
        yield (
            {**record(), "status": f"done{payload}"}
            if field == "status"
            else {**record(), field: payload, "run_id": record()["run_id"]}
        )


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    store = Store(tmp_path / "runs")
    for document in (*make_documents(PAYLOAD), *make_documents("\udcff")):
        write_record(store, document)
    write_generations(store, PAYLOAD)
    claimed = store.root / record()["run_id"] / "claims"
    claimed.mkdir(parents=True)
    owner = {
        "host": f"h{PAYLOAD}",
        "machine": PAYLOAD,
        "pid": 1,
        "started": 1,
        "since": PAYLOAD,
        "token": PAYLOAD,
    }
    (claimed / "0001.json").write_text(json.dumps(owner))
    launches = store.root / "launches"
    launches.mkdir()
    queued = {"run_id": f"queued{PAYLOAD}", "job": f"17{PAYLOAD}", "command": PAYLOAD, "because": PAYLOAD}
    waiting = {**queued, "run_id": "queued-1"}
    launch = {
        "id": "20260101-a",
        "cluster": "local",
        "jobs": [waiting],
        "arrays": [{"name": PAYLOAD, "job": PAYLOAD}],
    }
    launch |= {
        "state": f"not submitted: {PAYLOAD}",
        "command": PAYLOAD,
        "host": PAYLOAD,
        "submitted": PAYLOAD,
    }
    (launches / "20260101-a.json").write_text(json.dumps(launch))
    (launches / "20260101-b.json").write_text(json.dumps({**launch, "cluster": PAYLOAD, "id": PAYLOAD}))
    (launches / "20260101-c.json").write_text(json.dumps({**launch, "jobs": [queued]}))
    for name in ("\x1b[31mred\nforged", "\u202eturned"):
        write_record(store, {**record(), "run_id": name})
        (launches / f"{name}.json").write_text("{")
    (tmp_path / "experiments").mkdir()
    return store.root


READING = (
    "status",
    "status --list",
    "status --launch latest",
    "watch --for 0.1 --every 0.2",
    "list runs",
    "list runs --format csv",
    "list runs --format md",
    "list claims",
    "plan table2 --scale paper",
    "cancel --all",
    "retry --all --dry-run",
    "score --run webnlg",
    "report all --format md",
    "report all --format tex",
    "report all --format csv",
    "report all --format html --out page",
    "report search",
    "logs webnlg",
)
JSON = ("status --json", "list runs --json", "report all --format json", "cancel --all --json")


@pytest.mark.parametrize("words", READING)
def test_no_answer_about_a_hostile_store_acts_on_a_terminal(
    runs: Path, words: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main([*words.split(), "--runs", str(runs)]) in (0, 1, 2)
    out, err = capfd.readouterr()
    assert list_active(out, "\r\n") == [], out
    assert list_active(err) == []
    assert out or err
    assert not re.search("^forged", out + err, re.MULTILINE)
    if "--out" in words:
        for path in Path("page").rglob("*"):
            if path.suffix in (".html", ".svg"):
                assert list_active(path.read_text(), "\n") == [], path


@pytest.mark.parametrize("words", JSON)
def test_json_about_a_hostile_store_is_harmless_and_means_the_same(
    runs: Path, words: str, capfd: pytest.CaptureFixture[str]
) -> None:
    main([*words.split(), "--runs", str(runs)])
    out, err = capfd.readouterr()
    assert list_active(out) == [] and list_active(err) == []
    texts = list_texts(json.loads(out))
    assert words.startswith("cancel") or any(PAYLOAD in text for text in texts)


@pytest.mark.parametrize("words", READING)
def test_no_answer_about_a_store_is_flooded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    store = Store(tmp_path / "runs")
    for name in (
        "model",
        "method",
        "command",
        "data_origin",
        "not_comparable",
        "hardware",
        "code",
        "packages",
    ):
        document = record(seed=1)
        write_record(store, {**document, name: poison(document[name] or [""], FLOOD)})
    for name, value in (("signature", FLOOD), ("gate", FLOOD), ("reason", FLOOD)):
        write_record(store, record(scores=scores({"bleu": 55.0}, **{name: value})))
    for name in ("options", "settings"):
        document = record(seed=3)
        first = next(iter(document[name]))
        document[name] = {**document[name], first: {"value": FLOOD, "origin": FLOOD}}
        write_record(store, document)
    document = failed("error")
    write_record(store, {**document, "error": {**document["error"], "message": FLOOD, "log_tail": FLOOD}})
    write_record(store, {**record(), "scores": {FLOOD: scores({"bleu": 1.0})["all"]}})
    write_generations(store, FLOOD)
    assert main([*words.split(), "--runs", str(store.root)]) in (0, 1, 2)
    out, err = capfd.readouterr()
    assert len(out) < MOST and len(err) < 20_000
    assert all(path.stat().st_size < 2_000_000 for path in Path("page").rglob("*.*"))


LISTINGS = ("list methods", "list tasks", "list metrics", "list methods --json", "doctor", "doctor --json")


@pytest.mark.parametrize("words", LISTINGS)
def test_no_plug_in_acts_by_its_name_or_by_what_broke_it(
    monkeypatch: pytest.MonkeyPatch, words: str, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(registry, "broken", lambda _kind=None: [(f"plug{PAYLOAD}.py", f"{PAYLOAD}{FLOOD}")])
    main(words.split())
    out, err = capfd.readouterr()
    assert list_active(out) == [] and list_active(err) == []
    if "--json" in words:
        assert any(PAYLOAD in text for text in list_texts(json.loads(out)))
    else:
        assert "plug\\x1b]0;owned" in out and len(out) < MOST


@pytest.mark.parametrize("options", [[], ["--lines", "3"]], ids=["all", "last lines"])
def test_a_hostile_log_is_readable_and_does_nothing(
    tmp_path: Path, options: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    launches = tmp_path / "runs" / "launches"
    (launches / "20260101-a").mkdir(parents=True)
    job = {"run_id": "logged-1", "job": "17", "task": "webnlg", "method": "prefix", "model": "mini-gpt2"}
    job |= {"scale": "mini", "protocol": "original", "seed": 1}
    launch = {
        "id": "20260101-a",
        "cluster": "local",
        "jobs": [job],
        "arrays": [{"job": "17"}],
        "state": "submitted",
    }
    (launches / "20260101-a.json").write_text(
        json.dumps({**launch, "submitted": "2026-01-01T00:00:00+00:00"})
    )
    log = f"{FLOOD}\nloading: 10 %\rloading: 20 %\r\n{PAYLOAD}\n\tend \u4e2d\n"
    (launches / "20260101-a" / "17_0_log.out").write_bytes(log.encode())
    assert main(["logs", "logged-1", *options, "--runs", str(tmp_path / "runs")]) == 0
    out, _ = capfd.readouterr()
    assert list_active(out, "\n\t") == []
    assert out.endswith("\tend \u4e2d\n") and len(out) < 20_000
    if not options:
        assert "loading: 10 %\nloading: 20 %\n" in out and "(500,000 characters)" in out


def test_the_direction_of_a_text_ends_with_it() -> None:
    template = make_html_environment().from_string('<p title="{{ text | attribute }}">{{ text }} 1</p>')
    hebrew = "\u05d0\u05d1 2"
    assert template.render(text=hebrew) == f'<p title="{hebrew}"><bdi>{hebrew}</bdi> 1</p>'
    assert template.render(text="caf\xe9 2") == '<p title="caf\xe9 2">caf\xe9 2 1</p>'
    assert template.render(text="<\u05d0>") == '<p title="&lt;\u05d0&gt;"><bdi>&lt;\u05d0&gt;</bdi> 1</p>'


def list_texts(value: Any) -> list[str]:
    """All texts of a document."""
    if isinstance(value, Mapping):
        return [*value, *list_texts([*value.values()])]
    return (
        [text for inner in value for text in list_texts(inner)] if isinstance(value, list) else [str(value)]
    )
