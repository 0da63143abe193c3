"""Files, network, processes, devices and clocks: what a harness needs of the machine, and nothing of language.

May import only ``bench.errors``. Start reading at ``files`` (a reader sees a whole file or none), ``progress``
(what a person sees meanwhile) and ``provenance`` (the code, packages and machine behind a record). torch,
accelerate and huggingface_hub are imported inside the functions that use them.
"""
