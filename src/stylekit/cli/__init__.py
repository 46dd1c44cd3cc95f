"""The command line: reads options, calls the library, prints what comes back."""
