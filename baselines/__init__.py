"""One file per method: what is trainable and how it meets the model. Discovered by ``bench.registry``."""
