"""bench: reproduce the tables and figures of *Prefix-Tuning* (Li & Liang, ACL 2021), with verdicts."""

__version__ = "0.1.0"
