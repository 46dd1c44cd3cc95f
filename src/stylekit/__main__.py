"""Entry point for `python -m stylekit`."""

from stylekit.cli import main

if __name__ == "__main__":
    main()
