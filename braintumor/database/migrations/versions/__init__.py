"""One module a revision, each complete in itself: what it makes stays as it was when the tables go on changing."""
