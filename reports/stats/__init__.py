"""Means, intervals and tests over runs or over test items; nothing here knows of the paper or of records.

``intervals``: the spread over seeds or subsets; ``equivalence``: what a few runs show and could have shown;
``estimates``: differences and ratios of such numbers;
``item_bootstrap``: the spread over test items. May import ``bench.metrics``, ``bench.scoring`` and
``bench.system``. Start at ``intervals``.
"""
