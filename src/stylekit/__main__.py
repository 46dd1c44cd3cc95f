"""`python -m stylekit`."""

from stylekit.cli.app import main

if __name__ == "__main__":
    main()
