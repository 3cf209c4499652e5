"""The revisions of the tables, and how they run; ``braintumor.database.connect`` runs those that a database lacks."""
