"""`drophammer backup` and `drophammer restore`: a copy of the ledger and what belongs to it, and the way back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from daemon.cli.failure import CommandError


def backup(
    folder: Annotated[
        str | None,
        typer.Argument(metavar="[FOLDER]", help="A folder that is not there yet; default: state/backups/<time>."),
    ] = None,
) -> None:
    """Copy the ledger, the accepted job files and the configuration, also while the daemon works.

    Finished work and recordings are not in it: back up outbox/ and inbox/ as any other files.

    Example: ./drophammer backup /mnt/nas/drophammer-monday
    """
    from datetime import UTC, datetime

    from daemon.backup import back_up
    from daemon.settings import locate

    paths = locate()
    target = Path(folder).absolute() if folder else paths.state / "backups" / f"{datetime.now(UTC):%Y%m%d-%H%M%S}"
    back_up(paths, target)
    print(target)


def restore(
    folder: Annotated[str | None, typer.Argument(metavar="[FOLDER]", help="What `drophammer backup` wrote.")] = None,
    without: Annotated[
        bool, typer.Option("--without", help="There is no backup: rebuild the ledger from the outbox.")
    ] = False,
) -> None:
    """Put a backup's ledger in place of a damaged or lost one. The daemon must be stopped.

    What was published since the backup is read from the outbox and not run again; what was only accepted since is dropped
    again. The former ledger is moved aside. Configuration is left as it is: the backup's lies in FOLDER/config.

    Example: ./drophammer restore /mnt/nas/drophammer-monday
    """
    from daemon.backup import restore as put_back
    from daemon.core import utc_now
    from daemon.lock import AlreadyRunning
    from daemon.settings import locate

    if (folder is None) != without:
        raise CommandError("name the folder that `drophammer backup` wrote, or say --without when there is none")
    try:
        done = put_back(locate(), Path(folder).absolute() if folder else None, utc_now())
    except AlreadyRunning as error:
        raise CommandError(f"{error}; stop it first") from None
    if done.aside:
        print(f"the former ledger is {done.aside}")
    print(f"{done.adopted} published jobs were read from the outbox, {done.dropped_again} accepted files dropped again")
    if done.left:
        print(
            f"{done.left} accepted files were left in accepted/: "
            + (
                "their jobs failed or were cancelled since"
                if folder
                else "nothing says whether their work is still wanted"
            )
            + "; move those you want to run back into the inbox"
        )
