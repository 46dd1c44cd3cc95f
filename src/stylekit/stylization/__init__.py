"""A style applied to arrays."""
