"""A made-up state of things for tests of what is rendered: every verdict, mini runs, failures, bad texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from made_up import failed, record, scores

from reports.document import builder

NASTY = (
    "<script>window.hacked = 1</script>",
    "</script><img src=x onerror=window.hacked=1>",
    '"onmouseover="window.hacked=1',
    r"\input{/etc/passwd} \end{document} 100% $x_1^2$ & #1 {~}",
    "=cmd|' /C calc'!A0",
    "| a ` b ``` c | [x](javascript:alert(1)) ![y](http://example.org/z) # **b**",
    "\u202egnp.txt\u0000\u0007 中文 ‮",
)
FACTS = [["A_Place", "leader", "A_Person"], ["A_Place", "country", "Italy"]]


def webnlg(seed: int, method: str, bleu: float, **changes: Any) -> dict[str, Any]:
    """A run of WebNLG with all groups of scores."""
    values = {"all": bleu, "seen": bleu + 7.9, "unseen": bleu - 9.7}
    made = {g: scores({"bleu": v, "meteor": 0.41, "ter": 0.42})["all"] for g, v in values.items()}
    return record(method, "webnlg", seed, bleu, scores=made, **changes)


def records() -> list[dict[str, Any]]:
    """Table 2 in part, Figure 3's E2E half, Table 5 at mini, failures, a nasty message."""
    made = [webnlg(s, "prefix", 54.8 + 0.2 * s) for s in (1, 2, 3)]
    made += [webnlg(s, "ft-full", 52.0 + 0.1 * s) for s in (1, 2, 3)]
    made += [webnlg(1, "ft-top2", 30.0), webnlg(1, "adapter", 50.6, options={"size": "0.1%"})]
    made += [webnlg(s, "prefix", 60.0 + s, model="mini-gpt2", scale="mini") for s in (1, 2)]
    made += [webnlg(s, "ft-full", 55.0 + s, model="mini-gpt2", scale="mini") for s in (1, 2)]
    for number, text in enumerate(NASTY):
        bad = failed("error", method="prefix", task="dart", seed=number)
        bad["error"]["message"] = text
        bad["command"] = f"bench run --note '{text}'"
        made.append(bad)
    made.append(failed("out-of-memory", method="ft-full", task="dart"))
    for size in (50, 100, 200):
        for method, options in (("prefix", {"init": "table-to-text:"}), ("ft-full", {})):
            for subset in range(3):
                value = 46 + size / 25 + (4 if method == "prefix" else 0) + subset
                preset = {"train_subset": size, "dev_subset": size * 3 // 10, "test_split": "dev"}
                preset |= {"data_seed": subset}
                values = scores({"bleu": value, "rouge_l": value / 85, "nist": value / 10})
                made.append(record(method, "e2e", 1, value, options=options, preset=preset, scores=values))
    for length in (1, 5, 10):
        made.append(
            record(
                "prefix", "dart", 1, 40 + length / 10, options={"length": length}, scale="mini",
                model="mini-gpt2", scores=scores({"bleu": 40 + length / 10, "ter": 0.5}),
            )
        )  # fmt: skip
    return made


def generations(_run_id: str) -> Sequence[Mapping[str, Any]]:
    """Items of every run: Table 10's Ids with outputs that try to break out of every format."""
    ids = ("Id1579", "Id1524", "Id1422", "Id1421", "Id1307", "Id1306", "Id836")
    return [
        {
            "id": name,
            "output": text,
            "references": ["A Place is led by A Person."],
            "groups": ["all", "unseen"],
            "category": text,
            "source": text,
            "facts": [*FACTS, ["A_Place", "motto", text]],
            "tokens": 3,
        }
        for name, text in zip(ids, NASTY, strict=True)
    ]


@cache
def report() -> builder.Report:
    return builder.build_report(records(), ["all"], generations=generations, damaged=[NASTY[0]])
