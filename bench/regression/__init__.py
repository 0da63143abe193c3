"""The regression check (``bench check``): small runs of every method on every task against committed values.

May import everything below it: runs, store, config, tasks, methods, scoring, system. Nothing but ``bench.cli.check``
imports it. Start reading at ``comparison.check_cases``; ``references`` measures what is committed in
``results/check/reference.json``.
"""
