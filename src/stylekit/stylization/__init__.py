"""Styles applied to arrays of pixels."""
