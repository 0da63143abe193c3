"""The one training loop, for every method, and its checkpoints.

``loop`` trains a ``bench.models.adapted.AdaptedModel`` in place, by the steps in ``update``; ``checkpoint``
writes and reads its state.
May import ``bench.models`` and ``bench.system``; knows no task, no store and no method. Start with
``loop.train_model``.
"""
