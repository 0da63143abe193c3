"""One run carried out: from a request to its record.

May import everything below: the store, configuration, scoring, training, decoding, models and data. Start reading
at ``runner.py``, which finds a run done or makes an ``attempt.py`` at it; the work is in ``stages.py``.
"""
