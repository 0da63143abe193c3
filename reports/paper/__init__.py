"""The paper as data: its tables, figures and claims, what other accounts say, and where this project deviates.

``published`` reads ``results/paper``, ``deviations`` reads ``docs/deviations.md``. Knows nothing of runs beyond the
record that a deviation may touch. Start at ``published``.
"""

from reports.paper.published import find_cells, read_cells, read_claims, read_table

__all__ = ["find_cells", "read_cells", "read_claims", "read_table"]
