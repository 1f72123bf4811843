"""A city that needs no city: seeded devices, the reference gateway, storms."""
