"""From sources to the text that is scored: beam search, batches, and ids to text.

``generation`` decodes many sources by a protocol's rules, ``beam_search`` is the search itself, and
``postprocessing`` makes text of tokens. May import ``bench.models``, the contracts (``bench.task``) and
``bench.system``; knows no method and no store. Start with ``generation.decode_sources``.
"""
