"""Experiments: files that say which runs are behind a table or figure, their expansion, plan and cost.

May import ``bench.config``, ``bench.store`` and ``bench.models``; never runs anything. Start reading at
``expansion.py``; ``files.py`` says what a file may hold. The files are the ``*.toml`` beside this one.
"""
