"""The derived store: what was measured, kept for looking back. It follows the journal and may lag; warnings may not."""
