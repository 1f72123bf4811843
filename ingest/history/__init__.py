"""The derived store: what the city measured, kept for looking back. It follows the journal and may lag; warnings may not."""
