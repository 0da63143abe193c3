"""XSum, trained on news and tested on sports (paper §6.4, Table 4); see ``tasks._xsum``."""

from __future__ import annotations

from tasks._xsum import Extrapolation
from tasks._xsum_topics import Side, Topic, news_to_sports


class XSumNewsToSports(Extrapolation):
    """Train and dev: addresses under ``/news/``; test: under ``/sport/``, 8,000 drawn with a seed."""

    name = "xsum-news-to-sports"
    title = "XSum, news to sports"

    def side(self, topic: Topic) -> Side | None:
        """``trained`` for news, ``tested`` for sport."""
        return news_to_sports(topic)
