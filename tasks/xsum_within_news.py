"""XSum, trained on UK, business and world news and tested on all other news (paper §6.4, Table 4);
see ``tasks._xsum``."""

from __future__ import annotations

from tasks._xsum import Extrapolation
from tasks._xsum_topics import Side, Topic, within_news


class XSumWithinNews(Extrapolation):
    """Train and dev: three news topics; test: the other ones, 8,000 drawn with a seed."""

    name = "xsum-within-news"
    title = "XSum, within news"

    def side(self, topic: Topic) -> Side | None:
        """``trained`` for UK, business and world news, ``tested`` for other news."""
        return within_news(topic)
