"""Downloads that resume and are verified."""
