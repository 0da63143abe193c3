"""One file per task: its data, linearisation and scores. Discovered by ``bench.registry``.

Files whose name begins with ``_`` are not tasks but what several tasks share. Nothing here imports
torch, transformers or datasets, so that listing the tasks is immediate.
"""
