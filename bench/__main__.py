"""`python -m bench`, and the console script `arithbench`."""

import sys
from pathlib import Path


def main() -> None:
    """Run one command and exit with its status: 0 done, 1 a cell failed, 2 bad input, 130 interrupted."""
    # A module named by --plugin may lie in the working folder; `python -m` puts that on the path, a script does not.
    sys.path.append(str(Path.cwd()))

    from cyclopts import CycloptsError

    from bench.cli import app
    from bench.errors import UserError

    try:
        status = app(sys.argv[1:], exit_on_error=False, print_error=False)
    except (CycloptsError, UserError) as error:
        print(f"bench: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("bench: interrupted; the same command continues", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:  # the reader of a pipe (head, say) has enough
        sys.stderr.close()
        sys.exit(0)
    sys.exit(status or 0)


if __name__ == "__main__":
    main()
