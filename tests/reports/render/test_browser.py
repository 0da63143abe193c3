"""The page in a real browser: nothing is loaded, nothing foreign runs, it sorts, opens and fits a phone."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import Page, browser
from made_site import report

from reports.render import output_files

SIZES = {"desktop": (1280, 900), "phone": (390, 844)}


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    folder = tmp_path_factory.mktemp("site")
    with browser(folder / "profile") as tab:
        output_files.write_files(folder / "report", output_files.render_files(report(), "html"))
        tab.resize(*SIZES["desktop"], "light")
        tab.open(folder / "report" / "index.html")
        yield tab


def column(page: Page, table: str, number: int, key: str = "p") -> list[float | None]:
    """The keys of a column's cells in the first body, in the order in which they stand."""
    keys = page.js(
        f"[...document.querySelector('#{table} table.paper').tBodies[0].rows].filter(r => "
        f"!r.classList.contains('section')).map(r => r.cells[{number}].dataset.{key})"
    )
    return [float(value) if value else None for value in keys]


pytestmark = pytest.mark.slow


def test_nothing_is_loaded_and_no_foreign_script_runs(page: Page) -> None:
    asked = [
        event["params"]["request"]["url"]
        for event in page.events
        if event.get("method") == "Network.requestWillBeSent"
    ]
    assert len([url for url in asked if not url.startswith("data:")]) == 1, asked  # the page itself
    assert page.js("window.hacked") is None
    assert page.js("document.documentElement.classList.contains('js')")  # ours does run
    errors = [e for e in page.events if e.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded")]
    assert not errors, errors
    # Ids are unique, and every link within the page has a target.
    ids = page.js("[...document.querySelectorAll('[id]')].map(e => e.id)")
    assert len(ids) == len(set(ids))
    lost = page.js(
        "[...document.querySelectorAll('a[href^=\"#\"]')].map(e => decodeURIComponent("
        "e.getAttribute('href').slice(1))).filter(id => !document.getElementById(id))"
    )
    assert lost == []
    # Our drawings are whole, and nothing tries to run from an attribute.
    assert page.js("document.querySelectorAll('figure svg').length") >= 6
    handlers = (
        "[...document.querySelectorAll('*')].some(e => e.getAttributeNames().some(n => n.startsWith('on')))"
    )
    assert not page.js(handlers)


def test_a_click_on_a_head_sorts_each_section(page: Page) -> None:
    before = column(page, "table2", 8)
    head = "#table2 table.paper th[data-column='8'] button"
    page.click(head)
    up = column(page, "table2", 8)
    assert up == sorted(before, key=float) and up != before
    assert (
        page.js("document.querySelector('#table2 th[data-column=\"8\"]').getAttribute('aria-sort')")
        == "ascending"
    )
    page.click(head)
    assert column(page, "table2", 8) == up[::-1]
    # By ours: systems that did not run come last, whichever way is up.
    page.js("document.getElementById('way').value = 'o'")
    page.click(head)
    ours = column(page, "table2", 8, "o")
    present = [value for value in ours if value is not None]
    assert present == sorted(present) and ours[: len(present)] == present and len(present) < len(ours)
    page.js("document.getElementById('way').value = 'p'")


def test_a_cell_opens_to_its_lineage_by_mouse_and_by_keyboard(page: Page) -> None:
    cell = page.js(
        "[...document.querySelectorAll('#table2 td.cell')].find(c => c.dataset.o && c.dataset.p === '55')"
        ".querySelector('details').id"
    )
    page.click(f"#{cell} summary")
    assert page.js(f"document.getElementById('{cell}').open")
    text = page.js(f"document.querySelector('#{cell} .sheet').innerText")
    for words in ("55.0", "between seeds", "reproduced", "bench run --method prefix", "made-up", "seed 1"):
        assert words in text, text
    assert page.js(
        f"(() => {{const r = document.querySelector('#{cell} .sheet').getBoundingClientRect();"
        "return r.bottom <= innerHeight + 1 && r.height > 100 && r.width > 300})()"
    )
    page.key("Escape")
    assert not page.js(f"document.getElementById('{cell}').open")
    assert page.js(f"document.activeElement === document.querySelector('#{cell} summary')")
    page.key("Enter", "\r")
    assert page.js(f"document.getElementById('{cell}').open")
    page.click(f"#{cell} .close")
    assert not page.js(f"document.getElementById('{cell}').open")


def test_the_list_of_runs_is_filtered(page: Page) -> None:
    count_rows = "[...document.querySelectorAll('#run-list tbody tr')].filter(r => !r.hidden).length"
    everything = page.js(count_rows)
    fire = (
        "document.getElementById('{0}').value = '{1}';"
        "document.getElementById('{0}').dispatchEvent(new Event('{2}'))"
    )
    page.js(fire.format("status", "failed", "change"))
    assert page.js(count_rows) == sum(run.status == "failed" for run in report().runs) < everything
    page.js(fire.format("filter", "out-of-memory", "input"))
    assert page.js(count_rows) == 1
    page.js(fire.format("status", "", "change"))
    page.js(fire.format("filter", "", "input"))
    assert page.js(count_rows) == everything


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", list(SIZES))
def test_it_fits_and_can_be_read(page: Page, size: str, scheme: str, tmp_path: Path) -> None:
    page.resize(*SIZES[size], scheme)
    wide = page.js(
        "[...document.querySelectorAll('body *')].filter(e => !e.closest('.scroll, nav, .sheet, .skip')"
        " && e.getBoundingClientRect().right > innerWidth + 1).map(e => e.tagName + '.' + e.className)"
    )
    assert wide == []
    assert page.js("document.documentElement.scrollWidth <= innerWidth + 1")
    colours = json.loads(
        page.js(
            "JSON.stringify([getComputedStyle(document.body).color, "
            "getComputedStyle(document.body).backgroundColor])"
        )
    )
    assert contrast(*colours) >= 7
    page.js("document.getElementById('table2').scrollIntoView()")
    first = page.shot(tmp_path / f"{size}-{scheme}.png")
    assert struct.unpack(">II", first[16:24]) == SIZES[size]
    page.js("document.getElementById('figure3').scrollIntoView()")
    assert page.shot(tmp_path / f"{size}-{scheme}-figure.png") != first
    page.resize(*SIZES["desktop"], "light")


def test_the_navigation_and_the_progress_are_all_in_sight(page: Page) -> None:
    for size, (width, height) in SIZES.items():
        page.resize(width, height, "light")
        done = page.js(
            "Math.max(...[...document.querySelectorAll('#progress tbody td:nth-child(3)')]"
            ".map(e => e.getBoundingClientRect().right))"
        )
        assert 0 < done <= width, size
        if size == "desktop":
            assert page.js("(e => e.scrollWidth <= e.clientWidth)(document.querySelector('nav ul'))")
    page.resize(*SIZES["desktop"], "light")


def test_the_latest_score_is_on_the_first_screen(page: Page) -> None:
    for size, (width, height) in SIZES.items():
        page.resize(width, height, "light")
        page.js("scrollTo(0, 0)")
        place = page.js(
            "(r => [r.right, r.bottom])(document.querySelector('.latest td strong').getBoundingClientRect())"
        )
        assert 0 < place[0] <= width and 0 < place[1] <= height, size
    page.resize(*SIZES["desktop"], "light")


def test_what_scrolls_sideways_shows_it(page: Page) -> None:
    """Where there is more to the right the edge is darker than the page; at the end it is not."""
    page.js("document.querySelector('#table2 .scroll').scrollIntoView()")
    places = "document.querySelector('#table2 .scroll')"
    assert page.js(f"{places}.scrollWidth > {places}.clientWidth + 20")
    assert page.js(f"getComputedStyle({places}).backgroundImage.split('linear-gradient').length") == 5
    assert page.js(f"getComputedStyle({places}).backgroundAttachment") == "local, local, scroll, scroll"


def contrast(colour: str, background: str) -> float:
    """Of two ``rgb(...)`` colours, as WCAG defines it."""

    def luminance(colour: str) -> float:
        parts = [int(part) / 255 for part in colour[4:-1].split(",")]
        r, g, b = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        return 0.2126 * r + 0.7152 * g + 0.0722 * b

    low, high = sorted((luminance(colour), luminance(background)))
    return (high + 0.05) / (low + 0.05)
