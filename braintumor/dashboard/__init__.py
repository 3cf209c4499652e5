"""What several pages share; a page imports from its modules by name."""
