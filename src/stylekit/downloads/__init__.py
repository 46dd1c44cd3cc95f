"""Downloads: resumed, verified and moved into place whole."""
