"""The report as typed values: what every table, figure, claim and example says, before any format.

``schema`` has the dataclasses, ``builder`` puts them together; ``paper_tables``, ``paper_figures``, ``examples``,
``table1``, ``run_list`` and ``overview`` each build a part, ``headline`` counts the paper's rows, ``systems`` and
``unpaired_rows`` name and list what is not the paper's, ``gaps`` sums up what is missing, ``mini_table``
makes the committed table of the mini suite. May import ``reports.judgement`` and what that may import, and of
``bench`` what reads data, records and experiments. Start with ``builder.build_report``.
"""
