"""WebNLG: the two forms of the separator, the ``good`` filter, seen and unseen."""

from __future__ import annotations

from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.errors import DataError
from bench.task import Item, Row
from tasks.webnlg import SEEN, UNSEEN, WebNLG, group_of

TASK = WebNLG()
Made = tuple[str, list[tuple[str, str, str]], list[tuple[str, str]]]
"""Category, triples, (comment, text)."""


def document(entries: list[Made]) -> str:
    lines = ["<benchmark><entries>"]
    for number, (category, triples, texts) in enumerate(entries, start=1):
        lines.append(f'<entry category={quoteattr(category)} eid="Id{number}" size="{len(triples)}">')
        joined = [escape(" | ".join(triple)) for triple in triples]
        lines.append("<originaltripleset><otriple>x | y | z</otriple></originaltripleset>")
        lines.append("<modifiedtripleset>" + "".join(f"<mtriple>{t}</mtriple>" for t in joined))
        lines.append("</modifiedtripleset>")
        lines += [f"<lex comment={quoteattr(c)} lid='Id1'>{escape(t)}</lex>" for c, t in texts]
        lines.append("</entry>")
    return "\n".join([*lines, "</entries></benchmark>"])


def write(root: Path, place: str, entries: list[Made]) -> None:
    path = root / "webnlg_challenge_2017" / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(document(entries), encoding="utf-8")


PIE: Made = (
    "Food",
    [("Blue_Pie", "mainIngredient", '"Blue berry"@en'), ("Blue_Pie", "country", "Kymria")],
    [("good", "Blue pie is from Kymria."), ("toFix", "Pie blue.")],
)
RUNNER: Made = ("Athlete", [("Ann_Lo", "club", "Elks_F.C.")], [("good", "Ann Lo plays for Elks.")])
PIE_TRAINED = ' | Blue_Pie : mainIngredient : "Blue berry"@en | Blue_Pie : country : Kymria'


def test_rows_are_the_good_texts(tmp_path: Path) -> None:
    write(tmp_path, "train/2triples/b.xml", [PIE])
    write(tmp_path, "train/1triples/c.xml", [RUNNER])
    write(tmp_path, "test/testdata_with_lex.xml", [PIE])
    trained = [
        Row(" | Ann_Lo : club : Elks_F.C.", "Ann Lo plays for Elks."),
        Row(PIE_TRAINED, "Blue pie is from Kymria."),
    ]
    assert TASK.rows("train", tmp_path, "original") == trained
    assert TASK.rows("train", tmp_path, "plain") == trained
    assert [row.target for row in TASK.rows("test", tmp_path, "original")][1] == "Pie blue."


def test_only_the_first_entry_is_unseparated_when_decoding(tmp_path: Path) -> None:
    write(tmp_path, "test/testdata_with_lex.xml", [PIE, PIE, RUNNER])
    first, second, third = TASK.items("test", tmp_path, "original")
    assert first == Item(
        id="Id1",
        source='Blue_Pie : mainIngredient : "Blue berry"@enBlue_Pie : country : Kymria',
        references=("Blue pie is from Kymria.", "Pie blue."),
        groups=("all", "seen"),
        category="Food",
        facts=tuple(PIE[1]),
    )
    assert second.source == PIE_TRAINED
    assert (third.source, third.groups) == (" | Ann_Lo : club : Elks_F.C.", ("all", "unseen"))
    plain = TASK.items("test", tmp_path, "plain")
    assert [item.source for item in plain] == [PIE_TRAINED, PIE_TRAINED, third.source]


def test_ids_are_distinct_over_files(tmp_path: Path) -> None:
    write(tmp_path, "dev/1triples/a.xml", [RUNNER, RUNNER])
    write(tmp_path, "dev/2triples/b.xml", [PIE])
    assert [i.id for i in TASK.items("dev", tmp_path, "original")] == ["a/Id1", "a/Id2", "b/Id1"]


def test_categories() -> None:
    assert (len(SEEN), len(UNSEEN)) == (10, 5)
    assert [group_of(name, "") for name in ("City", "Artist")] == ["seen", "unseen"]


@pytest.mark.parametrize("split", ["train", "test"])
def test_an_unknown_category_is_refused(tmp_path: Path, split: str) -> None:
    place = "train/1triples/a.xml" if split == "train" else "test/testdata_with_lex.xml"
    write(tmp_path, place, [RUNNER, ("Foods", RUNNER[1], RUNNER[2])])
    with pytest.raises(DataError, match=r"entry 2 \(Id2\): unknown category 'Foods'; did you mean 'Food'"):
        TASK.rows(split, tmp_path, "original")


letters = st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Cn"], exclude_characters="|")
part = st.text(letters, min_size=1, max_size=15)
text = st.text(letters, min_size=1, max_size=40).filter(str.strip)
made_entries = st.lists(
    st.tuples(
        st.sampled_from(SEEN + UNSEEN),
        st.lists(st.tuples(part, part, part), min_size=1, max_size=7),
        st.lists(st.tuples(st.sampled_from(["good", "toFix"]), text), min_size=1, max_size=4),
    ),
    min_size=1,
    max_size=4,
)


@given(made_entries)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)
def test_files_round_trip(tmp_path: Path, made: list[Made]) -> None:
    write(tmp_path, "test/testdata_with_lex.xml", made)
    items = TASK.items("test", tmp_path, "original")
    assert [list(item.facts) for item in items] == [triples for _, triples, _ in made]
    assert [list(item.references) for item in items] == [[t for _, t in texts] for *_, texts in made]
    for item in items[1:]:
        assert item.source.count(" | ") >= len(item.facts)
