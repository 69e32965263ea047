"""Runtimes that execute networks, one per file; `base.RUNTIMES` lists them."""
