"""`python -m interp`, the same as `interp`."""

from interp.cli.main import main

if __name__ == "__main__":
    main()
