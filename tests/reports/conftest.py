"""Puts this folder on the path: the tests in the folders below find ``made_up``, ``made_site`` and ``browser``."""
