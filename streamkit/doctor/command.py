"""Where the command `streamkit` begins: it says what is missing in one line, instead of a traceback."""

import sys


def main() -> None:
    """Run the command; exit code 2 where the extra `cli` is not installed."""
    try:
        from streamkit.doctor._cli import main as run
    except ImportError as exc:
        sys.stderr.write(f"streamkit: {exc}\n")
        sys.exit(2)
    run()


if __name__ == "__main__":
    main()
