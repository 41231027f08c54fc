"""`python -m sam2_adapter` and the command `sam2-adapter`."""

from sam2_adapter.cli import main

if __name__ == "__main__":
    main()
