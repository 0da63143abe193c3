"""What our runs say of the paper: the verdict of every cell, and whether each of its sentences holds.

``verdicts``: what a cell comes to, by the rules of ``comparison``, whose spreads and tolerances follow from
``repeated_runs``; ``operating_characteristics``: how often they are wrong; ``row_verdicts``: for rows, and whether
evidence tells them from their neighbours; ``claims``: all rules for sentences; ``claim_values``: their numbers,
from the paper or from records; ``claim_remarks``: whether the runs behind a claim are alike. May import
``reports.records``, ``reports.paper`` and ``reports.stats``. Start at ``verdicts``.
"""
