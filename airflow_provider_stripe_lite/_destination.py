"""Where a file goes: what its path must be, and a file that is there when it is whole."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import urlsplit

from airflow_provider_stripe_lite.core.scrub import show
from airflow_provider_stripe_lite.errors import StripeInputError

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator, Context, ObjectStoragePath

__all__ = ["destination", "refuse_shared", "whole_file"]

_ENDINGS = (".jsonl", ".jsonl.gz")
_PROVIDERS = {
    "s3": "amazon[s3fs]",
    "s3a": "amazon[s3fs]",
    "gs": "google",
    "gcs": "google",
    "abfs": "microsoft-azure",
    "abfss": "microsoft-azure",
    "adl": "microsoft-azure",
}
# What differs between the tasks of a mapped operator hangs on one of these names of templates.
_OF_ONE_TASK = {"ti", "task_instance", "task"}
# But these of their attributes are the same for all.
_OF_ALL_TASKS = {"dag", "dag_id", "dag_run", "run_id", "task_id", "try_number"}
# S3 takes parts of no less than this; s3fs has three copies of one in memory.
_PART_BYTES = 5 * 2**20
# The name of a part is 39 bytes longer than the file's, and most systems allow 255.
_NAME_BYTES = 255 - 39
# What may be mended by another path alone.
_NO_FILE = (errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP)


def destination(path: object, conn_id: str | None) -> ObjectStoragePath:
    """Accept the path of a file.

    :param conn_id: id of the connection of an object store.
    :raises StripeInputError: it is none, or needs what is not installed.
    :raises AirflowNotFoundException: there is no such connection.
    """
    from airflow.sdk import BaseHook, ObjectStoragePath
    from airflow.sdk.io import has_fs

    if not isinstance(path, str) or not path.endswith(_ENDINGS):
        raise StripeInputError(
            f"path must end with {' or '.join(_ENDINGS)}, got {show(path, 200)}."
        )
    if path != path.strip() or re.search(r"[\x00-\x1f\x7f]|://[^/]*[\[\]]|://.*[?#]", path):
        raise StripeInputError(
            "path must have no line end or blank around it, and a URL no [ or ] in its first name "
            f"and no ? or # anywhere, got {show(path, 200)}."
        )
    url = urlsplit(path)
    if url.scheme in ("", "file") and (url.netloc or not url.path.startswith("/")):
        raise StripeInputError(
            "path must be absolute, such as /data/charges.jsonl or file:///data/charges.jsonl, got "
            f"{show(path, 200)}."
        )
    try:
        if not has_fs(url.scheme or "file"):
            raise ImportError("no provider has it")
        found = ObjectStoragePath(path, conn_id=conn_id or None)
        # Airflow 3.1 does not tell which connection it takes: the argument's, or that in the path.
        if conn_id := conn_id or url.netloc.rpartition("@")[0]:
            # Amazon's hook would go on without one that is not there, with other credentials.
            BaseHook.get_connection(conn_id)
        # What the scheme needs is imported here.
        found.fs  # noqa: B018
    except ImportError as exc:
        known = _PROVIDERS.get(url.scheme)
        package = f"apache-airflow-providers-{known}" if known else "the provider that brings it"
        raise StripeInputError(
            f"path has the scheme {url.scheme!r}, which this Airflow does not know ({exc}): "
            f"install {package}."
        ) from exc
    return ObjectStoragePath(_target(found.path)) if _is_local(found) else found


def refuse_shared(task: BaseOperator, context: Context) -> None:
    """Refuse a path that is the same for all tasks of a mapped operator.

    :raises StripeInputError: its template names nothing that differs between them.
    """
    from jinja2 import nodes

    ti: Any = context["ti"]
    if ti.map_index is None or ti.map_index < 0:
        return
    template = _written_once(context["dag"].get_task(ti.task_id), context)
    own = template is None
    if isinstance(template, str):
        tree = task.get_template_env().parse(template)
        alike = {id(got.node) for got in tree.find_all(nodes.Getattr) if got.attr in _OF_ALL_TASKS}
        own = any(
            name.name in _OF_ONE_TASK and id(name) not in alike
            for name in tree.find_all(nodes.Name)
        )
    if not own:
        raise StripeInputError(
            f"path is {show(template, 200)} for each of the mapped tasks, and the last one would "
            "replace what the others wrote: expand path, too, or let it contain "
            "{{ ti.map_index }}."
        )


def _written_once(written: Any, context: Context) -> object:
    """Return the path that is written for all tasks of a mapping, None where each has its own."""
    from airflow.sdk import XComArg

    from airflow_provider_stripe_lite._compat import DagParam

    if not written.is_mapped:
        group, path = written.get_closest_mapped_task_group(), written.path
        # An argument of the mapped group is none of these, and each index has its own.
        shared = isinstance(path, str | DagParam) or (
            isinstance(path, XComArg)
            and not any(
                task.get_closest_mapped_task_group() is group for task, _ in path.iter_references()
            )
        )
        return path if shared else None
    if "path" in written.partial_kwargs:
        return written.partial_kwargs["path"]
    default = {**context["dag"].default_args, **written.task_group.default_args}.get("path")
    # Only this tells what `expand_kwargs` gave to this task, and it may read an XCom once more.
    own = default is not None and "path" in written.expand_input.resolve(context)[0]
    return None if own else default


@contextmanager
def whole_file(path: ObjectStoragePath) -> Iterator[BinaryIO]:
    """Open a file for writing; where the body raises, or its process dies, nothing has changed.

    :param path: an earlier file there stays until the new one takes its place.
    """
    with _local_file(Path(path.path)) if _is_local(path) else _stored(path) as file:
        yield file


def _is_local(path: ObjectStoragePath) -> bool:
    return path.protocol in ("", "file", "local")


def _target(path: str) -> str:
    """Return where a symbolic link leads, unless what is there is no file, such as a device."""
    try:
        leads = stat.S_ISREG(Path(path).stat().st_mode)
    except FileNotFoundError:
        leads = True
    except OSError as exc:
        if exc.errno not in _NO_FILE:
            raise
        raise StripeInputError(
            f"path cannot be written to, as it cannot be looked at ({exc.strerror}), got "
            f"{show(path, 200)}: name another file."
        ) from exc
    return os.path.realpath(path) if leads else path


@contextmanager
def _local_file(path: Path) -> Iterator[BinaryIO]:
    path.parent.mkdir(parents=True, exist_ok=True)
    name = path.name
    if len(encoded := os.fsencode(name)) > _NAME_BYTES:
        # Its beginning alone may be that of another long name.
        name = hashlib.sha256(encoded).hexdigest()
    # A killed process has left these, and no reader takes them for files.
    for left in path.parent.glob(f".{escape(name)}.{'?' * 32}.part"):
        left.unlink(missing_ok=True)
    part = path.with_name(f".{name}.{uuid.uuid4().hex}.part")
    try:
        with part.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def _stored(path: ObjectStoragePath) -> Iterator[BinaryIO]:
    # Without `autocommit=False`, fsspec publishes what it has also where the body raises.
    file: Any = path.fs.open(path.path, "wb", autocommit=False, block_size=_PART_BYTES)
    try:
        yield file
        file.close()
        file.commit()
    except BaseException:
        file.discard()
        # Azure's file publishes what it has when it is closed, and the garbage collector closes it.
        with suppress(AttributeError):
            file.closed = True
        raise
