"""Which runs fill which cell of the paper, and what each says of it.

``values``: a number of a record; ``runs``: attempts made into runs, and runs that are alike; ``matching``: which
runs a cell asks for; ``index``: all of it together. May import ``reports.paper``, ``reports.stats`` and ``bench``.
Start at ``index``.
"""
