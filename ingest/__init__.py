"""What the city says: from a gateway's bytes to an entry of the journal."""
