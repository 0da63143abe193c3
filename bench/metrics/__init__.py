"""One scorer per file or folder: from outputs and their references to a number with its signature.

What a metric is says ``bench.metric``; ``bench.registry`` finds the files here whose names do not start
with ``_`` (those that do are helpers, shared by several). A metric knows the official scripts of the tasks
by name and imports no task, no model of ours, no store: only ``bench.metric``, ``bench.system`` and
``bench.errors``, and what is heavy (torch, transformers, scipy) inside the functions that use it.

Start reading at ``bleu/__init__.py``; then ``_preprocess.py``, what the official scripts do to texts before
they count. ``golden/`` holds the outputs with known scores by which ``bench.scoring.golden`` tests each.
"""
