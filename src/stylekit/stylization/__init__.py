"""Apply styles to arrays of pixels."""
