"""A tracker for MLflow: a folder, a database or a server that keeps its runs."""

from __future__ import annotations

import importlib.util
import logging
import os
import re
import time
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from filelock import FileLock

from distill.errors import DistillError
from distill.files import unwritable
from distill.tracking.base import TrackerOptions, trackers, writable
from distill.tracking.run import Row, Status, TrackedRun, flat, numbers, results

if TYPE_CHECKING:
    from mlflow.entities import Metric
    from mlflow.tracking import MlflowClient

_STATUS: dict[Status, str] = {"finished": "FINISHED", "failed": "FAILED", "interrupted": "KILLED"}
_IDENTITY = "distill.id"
# What MLflow takes in one call, and characters of a value.
_PARAMS, _METRICS, _LONGEST = 100, 1000, 500
_SHORT = 160  # characters of an error
_SCHEME = re.compile(r"(\w{2,}):")  # one letter is a drive
_SERVERS = ("http", "https", "databricks")
_DATABASES = ("sqlite", "postgresql", "mysql", "mssql")


@dataclass(frozen=True, kw_only=True)
class MlflowOptions(TrackerOptions):
    """Options of `mlflow`.

    Attributes:
        experiment: Where runs appear.
        uri: A folder, `http://host:port` of a server, or `sqlite:///file.db`.
    """

    package: ClassVar[str] = "mlflow"

    experiment: str = "distill"
    uri: str = "outputs/tracking/mlflow"

    def check(self) -> Iterable[str]:
        """Schemes that MLflow has no store for."""
        scheme = _SCHEME.match(self.uri)
        if scheme and scheme[1] not in (*_SERVERS, *_DATABASES):
            yield f"uri={self.uri} is not allowed: it must be a folder, the address of a server, or sqlite:///FILE."

    @property
    def local(self) -> bool:
        """Whether it is a folder."""
        return not _SCHEME.match(self.uri)

    def ready(self) -> None:
        """Finds out whether MLflow is there, and whether what keeps its runs answers."""
        super().ready()
        if self.local:
            writable("tracker.mlflow.uri", Path(self.uri))
        else:
            connect(self)


@trackers.register("mlflow", MlflowOptions)
class MlflowTracker:
    """Settings as parameters, numbers as metrics by epoch, overrides and the sweep as tags."""

    def __init__(self, options: MlflowOptions, run: TrackedRun):
        self._client, self._experiment = connect(options)
        self._run = run
        group, name = run.names(options.run_name)
        known = self._known() if run.again else None
        self._id = known or self._client.create_run(self._experiment, run_name=name).info.run_id
        self._again = known is not None
        self._sent: dict[str, int] = {}
        if known and "error" in self._client.get_run(known).data.tags:  # why it ended the last time
            self._client.delete_tag(known, "error")
        self._client.update_run(self._id, status="RUNNING")
        self._describe(group)

    def log(self, rows: Sequence[Row]) -> None:
        """Sends epochs; those that an earlier sitting of the run has sent are left out."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        self._send(
            [
                Metric(f"{row['role']}/{name}", value, now, row["epoch"])
                for row in rows
                if row["epoch"] > self._last(row["role"])
                for name, value in numbers(row).items()
            ]
        )

    def result(self, rows: Sequence[Row], files: Sequence[Path]) -> None:
        """Sends results and files."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        for role, floats, texts in results(list(rows)):
            self._send([Metric(f"result/{role}/{name}", value, now, 0) for name, value in floats.items()])
            for name, value in texts.items():
                self._tag(f"result.{role}.{name}", value)
        for path in files:
            self._client.log_artifact(self._id, str(path))

    def close(self, status: Status, error: str | None) -> None:
        """Ends the run as finished, failed or killed."""
        if error:
            self._tag("error", error)
        self._client.set_terminated(self._id, _STATUS[status])

    def _describe(self, group: str | None) -> None:
        from mlflow.entities import Param

        tags = {_IDENTITY: self._run.identity, "command": self._run.command, "run_folder": str(self._run.folder)}
        tags |= {f"override.{key}": value for key, value in self._run.overrides.items()}
        if group is not None:
            tags["sweep"] = group
        for key, value in tags.items():
            self._tag(key, value)
        settings = [Param(_allowed(key), str(value)[:_LONGEST]) for key, value in flat(self._run.config).items()]
        for first in range(0, len(settings), _PARAMS):
            self._client.log_batch(self._id, params=settings[first : first + _PARAMS])

    def _known(self) -> str | None:
        """The run that an earlier command began in the same folder."""
        found = self._client.search_runs([self._experiment], f"tags.`{_IDENTITY}` = '{self._run.identity}'")
        return found[0].info.run_id if found else None

    def _last(self, role: str) -> int:
        """The last epoch that an earlier sitting of the run has sent."""
        if role not in self._sent:
            sent = self._client.get_metric_history(self._id, f"{role}/loss") if self._again else []
            self._sent[role] = max((point.step for point in sent), default=0)
        return self._sent[role]

    def _send(self, metrics: list[Metric]) -> None:
        for first in range(0, len(metrics), _METRICS):
            self._client.log_batch(self._id, metrics=metrics[first : first + _METRICS])

    def _tag(self, key: str, value: str) -> None:
        self._client.set_tag(self._id, _allowed(key), value[: 10 * _LONGEST])


def connect(options: MlflowOptions) -> tuple[MlflowClient, str]:
    """MLflow's client, and the id of the experiment, made if it is not there.

    Raises:
        DistillError: What `uri` names cannot be reached or written.
    """
    for name, value in (
        ("MLFLOW_DISABLE_TELEMETRY", "true"),
        ("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2"),  # of 7: training waits meanwhile
        ("MLFLOW_HTTP_REQUEST_TIMEOUT", "20"),  # seconds
        *(
            (("MLFLOW_ALLOW_FILE_STORE", "true"),) if options.local else ()
        ),  # of which MLflow advises against large ones
    ):
        os.environ.setdefault(name, value)
    if options.uri.startswith(_DATABASES) and importlib.util.find_spec("sqlalchemy") is None:
        raise DistillError(
            f"tracker.mlflow.uri={options.uri} is a database, which MLflow needs more for: pip install sqlalchemy "
            "alembic; or give a folder."
        )
    folder = _made(options.uri) if options.local else None
    uri = options.uri if folder is None else folder.as_uri()
    from mlflow.exceptions import MlflowException
    from mlflow.tracking import MlflowClient

    logging.getLogger("mlflow").setLevel(logging.WARNING)
    try:
        # Jobs that begin at once would each make it.
        with FileLock(folder / ".distill.lock") if folder is not None else nullcontext():
            client = MlflowClient(uri, registry_uri=uri)
            found = client.get_experiment_by_name(options.experiment)
            return client, found.experiment_id if found else client.create_experiment(options.experiment)
    except MlflowException as error:
        reason = re.search(r"\[Errno -?\d+\] ([^'\")]+)", str(error))
        raise DistillError(
            f"tracker.mlflow.uri={options.uri} does not answer ({reason[1] if reason else str(error)[:_SHORT]}): start "
            "its server, or give a folder."
        ) from error


def _made(uri: str) -> Path:
    folder = Path(uri).absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable("tracker.mlflow.uri", uri, error) from error
    return folder


def _allowed(key: str) -> str:
    """A key as MLflow takes it: `model@student` becomes `model.student`."""
    return re.sub(r"[^\w.\- /]", ".", key)
