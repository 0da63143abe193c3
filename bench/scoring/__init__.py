"""From a task's outputs to its scores: every metric in every group, the gate, outputs made elsewhere.

Imports ``bench.registry`` (which metrics there are), ``bench.data``, ``bench.metric`` and below; knows
nothing of runs or the store. Start reading at ``evaluation.py``, ``score_outputs``: a score that breaks
loses no other one. ``score.py`` is what a score is; ``golden.py`` the gate that every scorer must pass
before its values count; ``external_outputs.py`` reads files of other systems.
"""
