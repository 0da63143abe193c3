"use strict";
// Sorting, filtering and closing. Everything can be read without it.
(() => {
  const root = document.documentElement;
  root.classList.add("js");

  const numeric = (text) => (text === null || text === "" ? null : Number(text));

  function keyOf(cell, way) {
    if (!cell) return null;
    if (way && cell.dataset[way] !== undefined) return numeric(cell.dataset[way]);
    if (cell.dataset.key !== undefined) {
      const number = numeric(cell.dataset.key);
      return Number.isNaN(number) ? cell.dataset.key : number;
    }
    return cell.textContent.trim().toLowerCase();
  }

  function compare(a, b) {
    if (typeof a === "number" && typeof b === "number") return a - b;
    return String(a).localeCompare(String(b));
  }

  function sort(header) {
    const table = header.closest("table");
    const down = header.getAttribute("aria-sort") === "ascending";
    for (const other of table.querySelectorAll("[aria-sort]")) other.removeAttribute("aria-sort");
    header.setAttribute("aria-sort", down ? "descending" : "ascending");
    const column = Number(header.dataset.column);
    const way = document.getElementById("way")?.value;
    for (const body of table.tBodies) {
      const rows = [...body.rows].filter((row) => !row.classList.contains("section"));
      const keyed = rows.map((row) => [keyOf(row.cells[column], way), row]);
      // What has no value comes last, whichever way is up.
      keyed.sort(([a], [b]) =>
        a === null || b === null ? (a === null) - (b === null) : (down ? -1 : 1) * compare(a, b));
      body.append(...keyed.map(([, row]) => row));
    }
  }

  function closeSheets(focus) {
    for (const open of document.querySelectorAll("td.cell details[open]")) {
      open.open = false;
      if (focus) open.querySelector("summary").focus();
    }
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button?.classList.contains("sort")) sort(button.closest("th"));
    else if (button?.classList.contains("close")) closeSheets(true);
    else if (event.target.closest(".sheet a")) closeSheets(false);
    else if (!event.target.closest("td.cell")) closeSheets(false);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") closeSheets(true);
  });

  const filter = document.getElementById("filter");
  const status = document.getElementById("status");
  function show() {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of document.querySelectorAll("#run-list tbody tr")) {
      const text = row.textContent.toLowerCase();
      const fits = words.every((word) => text.includes(word)) &&
        (!status.value || row.dataset.status === status.value);
      row.hidden = !fits;
      shown += fits;
    }
    document.getElementById("shown").textContent = `${shown} shown`;
  }
  if (filter) {
    filter.addEventListener("input", show);
    status.addEventListener("change", show);
    // A link to a run that the filter hides brings it back.
    window.addEventListener("hashchange", () => {
      const row = document.getElementById(decodeURIComponent(location.hash.slice(1)));
      if (row?.hidden) { filter.value = ""; status.value = ""; show(); row.scrollIntoView(); }
    });
  }
})();
