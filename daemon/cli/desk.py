"""What handlers' own commands are given: the installation's folders, and the steps of any job."""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daemon.cli.failure import CommandError

if TYPE_CHECKING:
    from daemon.settings_model import Settings
    from handlers.contract import World


class Desk:
    """:class:`handlers.contract.Desk`, for the installation that the environment names."""

    @cached_property
    def settings(self) -> Settings:
        from daemon.settings import load

        return load()

    @cached_property
    def world(self) -> World:
        from handlers.contract import World

        return World(self.settings.paths.config, self.settings.paths.state)

    def steps_of(self, job: str) -> list[tuple[str, dict[str, Any]]]:
        """Handler and parameters of each step.

        Raises
        ------
        CommandError
            When there is no such file or job.
        DocumentError
            When the file has problems; names them.
        """
        from daemon.cli.jobview import Outside, find_job, open_ledger

        if Path(job).is_file():
            return self._of_file(job)
        if Path(job).suffix in (".yaml", ".yml"):
            raise CommandError(f"{job}: there is no such file")
        connection = open_ledger(self.settings.paths)
        found = find_job(self.settings.paths, connection, job)
        if isinstance(found, Outside):
            return self._of_file(str(found.path))
        assert connection is not None, "a job found in the ledger has one"
        rows = connection.execute("SELECT handler, params FROM steps WHERE job_id = ? ORDER BY position", (found,))
        return [(row["handler"], json.loads(row["params"])) for row in rows]

    def _of_file(self, file: str) -> list[tuple[str, dict[str, Any]]]:
        from daemon import documents
        from daemon.cli.submission import default_name, read_text
        from handlers.registry import load_registry

        registry = load_registry(self.settings.handlers)
        document = documents.read(read_text(file), registry, self.settings, default_name=default_name(file))
        return [(step.handler, dict(step.params)) for step in document.steps]
