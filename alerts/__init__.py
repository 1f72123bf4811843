"""Who must know: incidents, words, the ledger of decisions, delivery, and the faces of the service."""
