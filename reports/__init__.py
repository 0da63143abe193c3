"""From the records of runs to the paper's tables, figures and claims with ours beside, by pure functions.

``paper`` (the paper as data) and ``stats`` (intervals and estimates) rest on nothing; ``records`` says which run
fills which cell; ``judgement`` what a number or a sentence comes to; ``document`` is the report as typed values;
``render`` writes it in a format, with the Jinja templates in ``templates``. Imports point up this list only. May
import all of ``bench`` but ``bench.cli``. Start with ``reports.document.builder``.
"""

FORMATS = ("html", "md", "tex", "csv", "json")
"""Of a report. Here, because the command line names them without importing what writes them."""
