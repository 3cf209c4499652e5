"""What the node's processes write to their log: their own lines only."""

import logging


def log_own(process: str) -> None:
    """Write lines of this package to standard error, and none of any library: those quote what objects say."""
    own = logging.getLogger("braintumor")
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter(f"%(asctime)s {process} %(levelname)s %(message)s"))
    own.addHandler(handler)
    own.setLevel(logging.INFO)
    own.propagate = False
    # Else the first warning of a library would go to standard error after all.
    logging.getLogger().addHandler(logging.NullHandler())
