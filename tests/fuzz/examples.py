"""How many inputs a fuzz target tries."""

import os

FUZZ_EXAMPLES = int(os.environ.get("BENCH_FUZZ_EXAMPLES", "2000"))
