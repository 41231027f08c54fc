"""`LabelSession`: from a folder of pictures to a page that is open, and back to files when it is closed."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from sam2_adapter.errors import ConfigError, DataError, ExportError
from sam2_adapter.files import reason_of
from sam2_adapter.formats.base import OutputType
from sam2_adapter.images.find import search_images
from sam2_adapter.label.change_journal import JOURNAL_NAME
from sam2_adapter.label.existing import take_over
from sam2_adapter.label.export import DEFAULT_FORMATS, Exported, Exporter, entries
from sam2_adapter.label.guard import Guard, bracketed, is_loopback
from sam2_adapter.label.picture_scores import SCORES_NAME, PictureScores
from sam2_adapter.label.pictures import named_pictures
from sam2_adapter.label.report import report_html
from sam2_adapter.label.teaching_runs import FOLDER
from sam2_adapter.label.work import Work
from sam2_adapter.numbered_folder import open_numbered_folder
from sam2_adapter.owned_folder import OwnedFolder

COMMAND = "label"
DEFAULT_OUTPUT = "labels"
# Ports from here on are nobody's, and Linux gives none of them to programs that want any port.
_FIRST_PORT = 61_000


@dataclass(frozen=True)
class Address:
    """Where the server listens.

    Attributes:
        host: this machine's own by default.
        port: 0 for the usual one of the folder of the work, or a free one where that is taken.
        token: the secret of the address; made again for each start where none is given, which only this machine's own host allows.
    """

    host: str = "127.0.0.1"
    port: int = 0
    token: str | None = None

    def __post_init__(self) -> None:
        """Check that nobody else is let in by accident."""
        if not is_loopback(self.host) and not self.token:
            raise ConfigError(
                f"--host {self.host} lets other machines in. Give a secret of your own with --token, or leave --host away."
            )
        if self.token is not None and (len(self.token) < 12 or not self.token.isascii() or not self.token.isalnum()):
            raise ConfigError("--token: give at least 12 letters and digits.")


class LabelSession:
    """The pictures, the folder of the results and the work in it; a context manager that lets the folder go."""

    def __init__(
        self, inputs: Sequence[str | Path], output: str | Path | None = None, *, labels: Sequence[str] = ()
    ) -> None:
        """Find the pictures, lock the folder and read what was labelled before.

        Args:
            inputs: a folder, or image files and folders.
            output: folder for the work; `labels` in the folder of the pictures where not given.
            labels: to choose from at once; in a new session before those of annotations that are there.

        Raises:
            ImageError: there is no picture.
            OutputExistsError: the folder for the work holds something else.
            FolderInUseError: another page works in it.
            ExportError: it cannot be written to.
        """
        found = search_images(inputs)
        self.passed_over = found.passed_over
        paths = list(dict.fromkeys(Path(os.path.abspath(path)) for path in found.paths))
        self.anchor = _anchor(inputs, paths)
        self.pictures = named_pictures(paths, self.anchor)
        self.notes: list[str] = []
        if output is not None:
            self._folder = OwnedFolder(output, COMMAND, resume=True)
        else:
            self._folder = open_numbered_folder(self.anchor / DEFAULT_OUTPUT, COMMAND, resume=True)
        try:
            self._folder.begin([JOURNAL_NAME, SCORES_NAME, FOLDER, *entries()])
            journal = self._folder.directory / JOURNAL_NAME
            if journal.is_symlink():
                raise ExportError(
                    f"{journal}: this is a link, which is not followed. Remove it, or choose another folder."
                )
            if not journal.exists():
                self._folder.claim(journal)
            self.work = Work(journal)
            if labels:
                self.work.add_labels(labels)
            if self.work.is_new:
                self.notes += take_over(self.work, self.pictures, inputs)
        except BaseException:
            self._folder.close()
            raise
        self.scores = PictureScores(self._folder.directory / SCORES_NAME, self._folder.claim)
        self.exporter = Exporter(
            self._folder,
            [picture.name for picture in self.pictures],
            lambda model: report_html(self.title, self.pictures, self.work, model),
        )

    @property
    def directory(self) -> Path:
        """The folder of the work."""
        return self._folder.directory

    @property
    def title(self) -> str:
        """What the page is called."""
        return self.anchor.name or str(self.anchor)

    def export(
        self,
        formats: Sequence[str] = DEFAULT_FORMATS,
        model: dict[str, Any] | None = None,
        output_type: OutputType = "mask",
    ) -> Exported:
        """Write what was labelled.

        Args:
            formats: names of formats, or `report`.
            model: `name` and further facts of the model that answered.
            output_type: what the formats that hold masks and polygons get.

        Raises:
            ConfigError: an unknown format.
            ExportError: a file cannot be written.
        """
        work = self.work.snapshot()
        done = self.exporter.write(work, formats, model or {}, output_type, labels=self.work.label_colors)
        return replace(done, notes=(*done.notes, *self.work.left_out()))

    def is_at(self, address: str) -> None:
        """Note where the page is, for somebody who starts a second one on the same pictures; without the secret, which the browser knows."""
        with suppress(ExportError):  # the page works without
            self._folder.tell_others(f"a page is open at {address}")

    def close(self) -> None:
        """Let the folder go."""
        self.work.close()
        self.scores.close()
        self._folder.close()

    def __enter__(self) -> Self:
        """The session itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Let the folder go."""
        self.close()


def serve(
    session: LabelSession,
    address: Address,
    model_options: dict[str, Any],
    opened: Callable[[str], None],
    teaching_settings: dict[str, Any] | None = None,
) -> Exported | None:
    """Serve the page until Ctrl-C or SIGTERM, then write what was labelled.

    Args:
        session: what is labelled.
        address: where to listen.
        model_options: arguments of `load_predictor`.
        opened: called with the address of the page as soon as it can be opened.
        teaching_settings: of the configuration, for teaching.

    Returns:
        What was written at the end; `None` where nothing was ever labelled.

    Raises:
        ConfigError: the address or a setting cannot be used, or the extra `label` is not installed.
        ExportError: what was labelled cannot be written; it is in the journal.
    """
    try:
        import uvicorn

        from sam2_adapter.label.server import LabelServer
    except ImportError as error:
        raise ConfigError(
            f"The page needs the extra 'label', which is not installed ({error.name}). Run: pip install 'sam2-adapter[label]'"
        ) from error
    server = LabelServer(
        session.title,
        session.pictures,
        session.work,
        session.exporter,
        model_options,
        session.notes,
        teaching_settings,
        session.scores,
    )
    listener = _listener(address, session.directory)
    port = listener.getsockname()[1]
    secret = address.token or secrets.token_urlsafe(24)
    guarded = Guard(server.app, host=address.host, port=port, secret=secret)

    class Server(uvicorn.Server):
        def handle_exit(self, sig: int, frame: Any) -> None:
            server.close_streams()
            super().handle_exit(sig, frame)

    config = uvicorn.Config(
        guarded, log_level="warning", access_log=False, server_header=False, ws="none", timeout_graceful_shutdown=2
    )
    host = bracketed("127.0.0.1" if address.host in ("0.0.0.0", "::") else address.host)
    with suppress(KeyboardInterrupt):  # how uvicorn passes on the signal that ended it
        session.is_at(f"http://{host}:{port}/")
        opened(f"http://{host}:{port}/?key={secret}")
        asyncio.run(Server(config).serve(sockets=[listener]))
    return session.export(model=server.model.model) if session.work.pictures else None


def _listener(address: Address, directory: Path) -> socket.socket:
    """Where nothing else is said, a folder has the same port at each start: a page that is still open finds the server that was started again."""
    if address.port == 0:
        with suppress(ConfigError):
            return _listening(replace(address, port=_usual_port(directory)))
    return _listening(address)


def _usual_port(directory: Path) -> int:
    return _FIRST_PORT + zlib.crc32(os.fsencode(os.path.realpath(directory))) % (2**16 - _FIRST_PORT)


def _listening(address: Address) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in address.host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address.host, address.port))
        listener.listen(128)
    except (OSError, OverflowError) as error:
        listener.close()
        reason = reason_of(error)
        raise ConfigError(
            f"{address.host}, port {address.port}: cannot listen there: {reason}. Choose another --port."
        ) from error
    return listener


def _anchor(inputs: Sequence[str | Path], paths: Sequence[Path]) -> Path:
    """The folder that names are relative to: the one that was given, or what all that was given shares."""
    folders = [Path(os.path.abspath(given)) for given in inputs]
    folders = [folder if folder.is_dir() else folder.parent for folder in folders]
    try:
        return Path(os.path.commonpath(folders))
    except ValueError as error:  # several drives
        raise DataError("The pictures lie on several drives. Give those of one drive at a time.") from error
