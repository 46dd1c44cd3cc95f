"""Downloads that resume, are verified, and are moved into place whole."""
