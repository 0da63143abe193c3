"""What a run is: its settings and where they come from, their resolution, the specification that names it.

May import ``bench.models``, ``bench.data``, the contracts (``bench.task``, ``bench.method``, ``bench.registry``) and
``bench.system``; knows nothing of the store or of how a run is carried out. Start reading at ``request.py``: a
``RunRequest`` is what somebody asked for, a ``SpecifiedRun`` the same with data and backbone found and every
setting resolved (``settings.py``), named by the hash of its ``specification.py``.
"""
