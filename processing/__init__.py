"""What it means: windows, levels and transitions as a pure function of the journal."""
