"""How networks are trained, measured and written; its modules are imported by name, since some load a framework."""
