"""What is asked of the hub: what a repository holds, and one file from where it was cut off.

The hub's own library does the talking: addresses, proxies, access tokens. Its downloader is not used, since
it starts anew in every process, loses up to 10 MB where a connection breaks, and compares no hash (seen in
huggingface_hub 2.4.0). Light until used.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.machinery import PathFinder
from pathlib import Path
from typing import BinaryIO, TypeVar

from handlers.contract import Invalid, Transient

Answer = TypeVar("Answer")

LIBRARY = "huggingface_hub"
ANSWER_S = 30.0
"""How long the hub may take to answer, or to send nothing."""
BREAKS = 5
"""How often in a row a connection may break without a byte having come."""
PAUSE_S = 1.0
ABSENT = 404


@dataclass(frozen=True)
class HubFile:
    """One file of a repository, as the hub names it."""

    name: str
    size: int
    etag: str

    @property
    def sha256(self) -> str:
        """Of a large file, which is kept by its hash; empty for small ones, which git keeps."""
        return self.etag if re.fullmatch("[0-9a-f]{64}", self.etag) else ""

    @property
    def git_sha1(self) -> str:
        """Of a small file, as git hashes it; empty for large ones."""
        return self.etag if re.fullmatch("[0-9a-f]{40}", self.etag) else ""


@dataclass(frozen=True)
class Repository:
    """What a repository holds, of what was asked for, at one commit."""

    name: str
    commit: str
    files: Mapping[str, HubFile]


class Hub:
    """The hub that ``HF_ENDPOINT`` names, or its library's own.

    Raises
    ------
    Invalid
        When its library is not installed.
    """

    def __init__(self) -> None:
        if PathFinder.find_spec(LIBRARY) is None:
            raise Invalid(f"{LIBRARY}, which talks to the hub, is not installed; run: make setup-musicgen")
        import huggingface_hub
        from huggingface_hub import constants

        huggingface_hub.logging.set_verbosity_error()
        self.endpoint = (os.environ.get("HF_ENDPOINT") or constants.ENDPOINT).rstrip("/")

    def look_up(self, repository: str, names: Iterable[str], revision: str = "") -> Repository:
        """Which of these files a repository holds, with sizes and hashes.

        Parameters
        ----------
        revision
            A commit; empty: the newest.

        Raises
        ------
        Invalid
            When there is no such repository or revision, or it may not be read.
        Transient
            When the hub cannot be reached.
        """
        commit, files = revision, {}
        for name in names:
            found = self._ask(repository, lambda name=name, at=commit or "main": self._look_at(repository, name, at))
            if found:
                files[name], commit = found
        return Repository(repository, commit, files)

    def _look_at(self, repository: str, name: str, revision: str) -> tuple[HubFile, str] | None:
        """A file and its commit; `None` where there is none of that name."""
        from huggingface_hub import get_hf_file_metadata, hf_hub_url
        from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError, RevisionNotFoundError

        url = hf_hub_url(repository, name, revision=revision, endpoint=self.endpoint)
        try:
            found = get_hf_file_metadata(url, timeout=ANSWER_S, endpoint=self.endpoint, library_name="drophammer")
        except (RepositoryNotFoundError, RevisionNotFoundError):
            raise
        except HfHubHTTPError as error:
            if error.response.status_code == ABSENT:
                return None
            raise
        if found.size is None or found.etag is None or found.commit_hash is None:
            raise OSError(f"its answer about {name} lacks size, hash or commit: it does not speak as the hub does")
        return HubFile(name, found.size, found.etag), found.commit_hash

    def download(self, repository: Repository, file: HubFile, part: Path, seen: Callable[[int], None]) -> None:
        """Append to `part` what is missing of a file. A connection that breaks is taken up again a few times.

        Parameters
        ----------
        seen
            Told after every block how many bytes of the file are here.

        Raises
        ------
        Invalid, Transient
            As :meth:`look_up`; what arrived stays in `part`.
        """
        from huggingface_hub import hf_hub_url

        url = hf_hub_url(repository.name, file.name, revision=repository.commit, endpoint=self.endpoint)
        with open(part, "ab") as stream:
            if stream.tell() > file.size:
                _empty(stream)
            kept = f"; {file.name} is here in part, and goes on from there when the command is run again"
            self._ask(repository.name, lambda: self._go_on(url, stream, file.size, seen), kept)

    def _go_on(self, url: str, stream: BinaryIO, size: int, seen: Callable[[int], None]) -> None:
        import httpx2
        from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status

        breaks = 0
        while (have := stream.tell()) < size:
            # Not compressed on the way: the range counts bytes of the file.
            headers = build_hf_headers(library_name="drophammer") | {"Accept-Encoding": "identity"}
            if have:
                headers["Range"] = f"bytes={have}-"
            why = "it sends nothing"
            try:
                with get_session().stream(
                    "GET", url, headers=headers, timeout=ANSWER_S, follow_redirects=True
                ) as answer:
                    hf_raise_for_status(answer)
                    if have and answer.status_code != httpx2.codes.PARTIAL_CONTENT:
                        _empty(stream)  # Somebody on the way does not know ranges and sends all of it.
                    for block in answer.iter_raw():
                        stream.write(block)
                        seen(stream.tell())
            except httpx2.TransportError as error:
                why = str(error) or type(error).__name__
            if stream.tell() < size:
                breaks = breaks + 1 if stream.tell() <= have else 0
                if breaks > BREAKS:
                    raise OSError(why)
                time.sleep(PAUSE_S)

    def _ask(self, repository: str, question: Callable[[], Answer], kept: str = "") -> Answer:
        import httpx2
        from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

        try:
            return question()
        except GatedRepoError as error:
            raise Invalid(
                f"{repository}: its owner wants to be asked first; accept the terms there, then: hf auth login"
            ) from error
        except (RepositoryNotFoundError, RevisionNotFoundError) as error:
            raise Invalid(f"{repository}: {self.endpoint} has no such repository or revision, or hides it") from error
        except (httpx2.HTTPError, OSError) as error:
            said = str(error).strip().partition("\n")[0][:200] or type(error).__name__
            raise Transient(f"{repository} from {self.endpoint}: {said}{kept}") from error


def _empty(stream: BinaryIO) -> None:
    stream.seek(0)
    stream.truncate()
