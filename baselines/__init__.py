"""The methods of the paper, one file or folder each: what is trained and how it meets the model.

A small method is one file (``ft_full.py``). A method with torch modules is a folder: ``__init__.py`` has its
options and settings and imports no torch, ``model.py`` the modules for decoder-only models, and
``encoder_decoder_model.py`` those for encoder-decoders. What several methods share is in ``_shared.py``
(settings), ``_keys_values.py`` and ``_embeddings.py`` (trained tensors).

``bench.registry`` finds what is here; nothing else imports it. May import ``bench.method``, ``bench.models``
and ``bench.system``. Start with ``prefix/__init__.py``.
"""
