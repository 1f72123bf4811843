"""Residents and leaders of ward groups, with their sealed addresses: one file, `<data>/residents.sqlite`."""
