"""The demonstration: real models, real traffic, late labels, one decision."""
