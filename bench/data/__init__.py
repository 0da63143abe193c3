"""A task's data: found, hashed and counted; a part of it drawn; its texts encoded; its splits exported.

May import ``bench.mini``, ``bench.task``, ``bench.system`` and ``bench.errors``. Start reading at ``dataset.py``,
whose `prepare` is what a run begins with; ``sources.py`` says where files are looked for, ``encoding.py`` and
``token_pairs.py`` how texts become what is trained on, ``subsets.py`` how parts are drawn, ``export.py`` how splits
become tables of ``datasets``.
"""
