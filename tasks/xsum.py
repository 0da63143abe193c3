"""XSum: BBC articles to one sentence each (Narayan et al., 2018); what is read and how: ``tasks._xsum``.

Lengths of Table 1: the paper counts with BART's tokenizer, whose merges are GPT-2's. Here as for the other
tasks the frame of the text is counted too, so that figures compare up to the two or three special tokens.
"""

from __future__ import annotations

from typing import ClassVar

from bench.task import RowCount
from tasks._xsum import XSumTask


class XSum(XSumTask):
    """The publisher's 90/5/5 split."""

    name = "xsum"
    title = "XSum"
    expected: ClassVar = {
        "train": RowCount(204_045, 204_045),
        "dev": RowCount(11_332, 11_332),
        "test": RowCount(11_334, 11_334),
    }
    paper_lengths = (473.3, 28.1)
