"""`python -m daemon`: the `drophammer` command."""

from __future__ import annotations

from daemon.cli.app import main

if __name__ == "__main__":
    main()
