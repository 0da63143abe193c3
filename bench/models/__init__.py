"""Backbones: which there are, where their weights come from, loading them, and what methods make of them.

``catalogue`` names and finds them, ``loading`` reads configuration, tokenizer and weights. ``adapted`` is what
training and decoding see of a backbone with a method's parts; ``decoder_only`` (GPT-2) and ``encoder_decoder``
(BART) are its two kinds, ``kv_cache`` what both keep while decoding. ``architecture`` tells the kinds apart, and
``parameter_count`` counts without weights.

May import ``bench.mini``, the contracts (``bench.method``) and ``bench.system``. Start with ``adapted``.
"""
