"""The objects under a base URL: the few operations that publishing needs, on any file system of fsspec.

A key is a path below the base. A tag stands for one content of one object: the ETag that S3 gives, elsewhere the
content itself. With conditional writes (S3) :meth:`Objects.create` and :meth:`Objects.replace` are decided by the
store, so of two writers one loses; without, they look first and write then, which leaves a moment between the two.
"""

from __future__ import annotations

import errno
import math
import os
import uuid
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from moodlemlbackend.errors import BackendError, StorageError, UsageError
from moodlemlbackend.files import NEW, explain
from moodlemlbackend.interpreter import install_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

CONNECT_SECONDS = 5
READ_SECONDS = 60
RETRIES = 3

_S3 = {"s3", "s3a"}
_PUTS_WHOLE_OBJECTS = _S3 | {"gs", "gcs", "az", "abfs", "abfss", "memory"}
_OPTIONS: dict[str, dict[str, Any]] = {
    "file": {"auto_mkdir": True},
    "s3": {
        "config_kwargs": {
            "connect_timeout": CONNECT_SECONDS,
            "read_timeout": READ_SECONDS,
            "retries": {"total_max_attempts": 1},  # s3fs tries again itself
        },
    },
}
_OPTIONS["local"], _OPTIONS["s3a"] = _OPTIONS["file"], _OPTIONS["s3"]

_NO_SPACE = {errno.ENOSPC, errno.EROFS, errno.EMFILE, getattr(errno, "EDQUOT", errno.ENOSPC)}
_CHANGED = {"PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey", "412", "409"}
_REFUSED = {
    "AccessDenied", "AuthorizationHeaderMalformed", "ExpiredToken", "InvalidAccessKeyId", "InvalidToken",
    "SignatureDoesNotMatch", "RequestTimeTooSkewed", "403",
    "PermissionError", "NoCredentialsError", "PartialCredentialsError", "ProfileNotFound", "CredentialRetrievalError",
}  # fmt: skip
_UNREACHABLE = {
    "ConnectionError", "ConnectionRefusedError", "ConnectionResetError", "ConnectTimeoutError", "ConnectionClosedError",
    "EndpointConnectionError", "FSTimeoutError", "HTTPClientError", "ReadTimeoutError", "ServerTimeoutError",
    "TimeoutError", "gaierror",
}  # fmt: skip


def open_shared(base: str | Path) -> Objects:
    """Return the objects of a base that is a directory or a URL, for small things that its servers share."""
    if "://" in str(base):
        return open_objects(str(base))
    return Objects("file", f"file://{Path(base).absolute()}")


def is_object_store(location: str) -> bool:
    """Whether a text is the URL of objects."""
    scheme, mark, _ = location.partition("://")
    return bool(mark) and scheme.lower() in _PUTS_WHOLE_OBJECTS


def open_objects(url: str) -> Objects:
    """Return the objects under a URL; UsageError when it is no URL that can be used. Connects to nothing yet."""
    protocol = url.partition("://")[0].lower()
    if "::" in url or any(sign in url for sign in "*?[]#\n"):
        raise UsageError(
            f"The base {_without_secrets(url)} has a character that is not allowed in a base: ::, *, ?, #, [ or ]."
        )
    return (S3Objects if protocol in _S3 else Objects)(protocol, url.rstrip("/"))


class Objects:
    """Objects of any file system; raises StorageError, with the base but no secret, when it cannot be used."""

    def __init__(self, protocol: str, url: str) -> None:
        self.name = _without_secrets(url)
        self._protocol = protocol
        self._url = url
        self._opened: tuple[int, Any, str] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_opened": None}

    @property
    def conditional(self) -> bool:
        """Whether the store itself decides :meth:`create` and :meth:`replace`."""
        return self._protocol == "memory"

    @property
    def file_system(self) -> Any:
        """The file system of fsspec, for a library that reads objects itself; it raises errors of its own."""
        return self._fs

    def url(self, key: str) -> str:
        """By what such a library names an object."""
        return f"{self._protocol}://{self._path(key)}"

    def read(self, key: str) -> bytes | None:
        """Return an object's content; None when there is no such object."""
        with self._errors():
            try:
                content: bytes = self._fs.cat_file(self._path(key))
            except FileNotFoundError as error:
                self._check_bucket(error)
                return None
            return content

    def read_tagged(self, key: str) -> tuple[bytes, Any] | None:
        """Return an object's content and the tag of it; None when there is no such object."""
        content = self.read(key)
        return None if content is None else (content, content)

    def create(self, key: str, content: bytes) -> Any | None:
        """Put an object where there is none and return its tag; None when there is one."""
        with self._errors():
            try:
                self._make_parents([key])
                self._fs.pipe_file(self._path(key), content, mode="create")
            except FileExistsError:
                return None
        return content

    def replace(self, key: str, content: bytes, tag: Any) -> Any | None:
        """Put an object in place of the content that ``tag`` stands for; None when that is not there any more."""
        if self.read(key) != tag:
            return None
        self.put(key, content)
        return content

    def put(self, key: str, content: bytes) -> None:
        """Put an object so that a reader sees the former content or this one, as far as the file system can."""
        with self._errors():
            self._make_parents([key])
            if self._protocol in _PUTS_WHOLE_OBJECTS:
                self._fs.pipe_file(self._path(key), content)
                return
            folder, _, name = key.rpartition("/")
            new = self._path(f"{folder}/{NEW}{name}-{uuid.uuid4().hex}")
            self._fs.pipe_file(new, content)
            self._fs.mv(new, self._path(key))

    def upload(self, files: Sequence[tuple[Path, str]]) -> None:
        """Put files, several at a time where the file system can; large ones in parts."""
        with self._errors():
            self._make_parents([key for _, key in files])
            self._fs.put([str(path) for path, _ in files], [self._path(key) for _, key in files])

    def download(self, files: Sequence[tuple[str, Path]]) -> None:
        """Fetch objects into files; MissingObjectError when one is not there."""
        with self._errors():
            try:
                self._fs.get([self._path(key) for key, _ in files], [str(path) for _, path in files])
            except FileNotFoundError as error:
                self._check_bucket(error)
                raise MissingObjectError from error

    def children(self, key: str) -> list[str]:
        """Return the sorted names directly below a key."""
        with self._errors():
            try:
                paths = self._fs.ls(self._path(key), detail=False)
            except (FileNotFoundError, NotADirectoryError) as error:
                self._check_bucket(error)
                return []
        own = self._path(key)
        return sorted({path.rstrip("/").rpartition("/")[2] for path in paths if path.strip("/") != own.strip("/")})

    def files(self, key: str) -> dict[str, int]:
        """Return the size of every object below a key by its path from there."""
        start = self._path(key).rstrip("/") + "/"
        with self._errors():
            try:
                stored = self._fs.find(self._path(key), detail=True)
            except FileNotFoundError as error:
                self._check_bucket(error)
                return {}
        return {path[len(start) :]: facts["size"] for path, facts in stored.items() if path.startswith(start)}

    def age(self, key: str, now: str) -> float:
        """Return how many seconds older than the object ``now`` an object is, by the store's own clock.

        0 when one of them is not there, infinity where the file system keeps no times.
        """
        with self._errors():
            try:
                later, earlier = (self._fs.modified(self._path(part)) for part in (now, key))
            except FileNotFoundError:
                return 0.0
            except NotImplementedError:
                return math.inf
            return float((later - earlier).total_seconds())

    def remove(self, keys: Iterable[str]) -> None:
        """Remove objects; fine where one is not there."""
        with self._errors():
            for key in keys:
                with suppress(FileNotFoundError):
                    self._fs.rm_file(self._path(key))

    def remove_tree(self, key: str) -> None:
        """Remove everything below a key."""
        with self._errors(), suppress(FileNotFoundError):
            self._fs.rm(self._path(key), recursive=True)

    @property
    def _fs(self) -> Any:
        return self._open()[1]

    def _path(self, key: str) -> str:
        root = self._open()[2]
        return f"{root}/{key}" if key else root

    def _open(self) -> tuple[int, Any, str]:
        """Return this process's number, file system and root: a file system does not survive a fork."""
        opened = self._opened
        if opened is None or opened[0] != os.getpid():
            with self._errors():
                try:
                    from fsspec.core import url_to_fs
                except ImportError as error:
                    reason = f"fsspec is not installed; {install_line('server')}"
                    raise StorageError(f"Cannot use {self.name}: {reason}.") from error
                options = {"skip_instance_cache": True, "use_listings_cache": False}
                fs, root = url_to_fs(self._url, **options, **_OPTIONS.get(self._protocol, {}))
                if hasattr(fs, "retries"):
                    fs.retries = RETRIES
                opened = self._opened = (os.getpid(), fs, root.rstrip("/"))
        return opened

    def _make_parents(self, keys: Iterable[str]) -> None:
        """Make the folders of objects where a file system has folders; S3 would rather make a bucket."""
        if self._protocol not in _PUTS_WHOLE_OBJECTS:
            for folder in {self._path(key).rpartition("/")[0] for key in keys}:
                self._fs.makedirs(folder, exist_ok=True)

    def _check_bucket(self, error: BaseException) -> None:
        """Raise StorageError when it is the bucket that is missing."""
        if "NoSuchBucket" in _codes(error):
            raise StorageError(self._explain(error)) from error

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (BackendError, MissingObjectError):
            raise
        except Exception as error:
            raise StorageError(self._explain(error)) from error

    def _explain(self, error: BaseException) -> str:
        codes = _codes(error)
        if isinstance(error, OSError) and error.errno in _NO_SPACE:
            return explain(error)
        if isinstance(error, ImportError):
            others = f"install what fsspec needs for {self._protocol}://"
            reason = f"a library it needs is not installed; {install_line('s3') if self._protocol in _S3 else others}"
        elif "NoSuchBucket" in codes:
            reason = "there is no such bucket; create it, or correct the base"
        elif codes & _REFUSED:
            reason = "access is denied; check this server's credentials and permissions"
        elif codes & _UNREACHABLE:
            reason = "it does not answer; check that it is running, its address and the network, then try again"
        elif isinstance(error, ValueError) and "rotocol" in str(error):
            reason = f"the file system {self._protocol}:// is unknown; correct the base"
        else:
            what = ", ".join(sorted(codes - {"OSError", "ClientError", "Exception"})) or type(error).__name__
            reason = f"it failed with {what}; check it and try again"
        return f"Cannot use {self.name}: {reason}."


class S3Objects(Objects):
    """Objects in S3, or in what speaks like it; whether that has conditional writes is tried once."""

    def __init__(self, protocol: str, url: str) -> None:
        super().__init__(protocol, url)
        self._conditional: bool | None = None

    @property
    def conditional(self) -> bool:
        """Whether the store refuses a write whose condition does not hold; older ones ignore the condition."""
        if self._conditional is None:
            key = f".probe-{uuid.uuid4().hex}"
            try:
                self._conditional = (
                    self._put_if(key, b"", IfNoneMatch="*") is not None
                    and self._put_if(key, b"", IfNoneMatch="*") is None
                    and self._put_if(key, b"", IfMatch=f'"{"0" * 32}"') is None
                )
            except StorageError as error:
                if not _codes(error) & {"NotImplemented", "InvalidArgument", "501"}:
                    raise
                self._conditional = False
            finally:
                with suppress(StorageError):
                    self.remove([key])
        return self._conditional

    def read(self, key: str) -> bytes | None:
        """See :meth:`Objects.read`."""
        stored = self._get(key)
        return stored and stored[0]

    def read_tagged(self, key: str) -> tuple[bytes, Any] | None:
        """See :meth:`Objects.read_tagged`."""
        return self._get(key) if self.conditional else super().read_tagged(key)

    def create(self, key: str, content: bytes) -> Any | None:
        """See :meth:`Objects.create`."""
        if self.conditional:
            return self._put_if(key, content, IfNoneMatch="*")
        if self.read(key) is not None:
            return None
        self.put(key, content)
        return content

    def replace(self, key: str, content: bytes, tag: Any) -> Any | None:
        """See :meth:`Objects.replace`."""
        return self._put_if(key, content, IfMatch=tag) if self.conditional else super().replace(key, content, tag)

    def _get(self, key: str) -> tuple[bytes, str] | None:
        """Return content and ETag in one request, where ``cat_file`` would ask for the size first."""
        from fsspec.asyn import sync

        async def get() -> tuple[bytes, str]:
            bucket, name = self._split(key)
            answer = await self._fs._call_s3("get_object", Bucket=bucket, Key=name)
            async with answer["Body"] as body:
                return await body.read(), answer["ETag"]

        with self._errors():
            try:
                stored: tuple[bytes, str] = sync(self._fs.loop, get)
            except FileNotFoundError as error:
                self._check_bucket(error)
                return None
            return stored

    def _put_if(self, key: str, content: bytes, **condition: str) -> str | None:
        """Put an object under a condition; None when that does not hold."""
        bucket, name = self._split(key)
        with self._errors():
            try:
                answer = self._fs.call_s3("put_object", Bucket=bucket, Key=name, Body=content, **condition)
            except OSError as error:
                if _codes(error) & _CHANGED:
                    return None
                raise
            tag: str = answer["ETag"]
            return tag

    def _split(self, key: str) -> tuple[str, str]:
        bucket, _, name = self._path(key).partition("/")
        return bucket, name


class MissingObjectError(Exception):
    """An object that was to be fetched is not there."""


def _codes(error: BaseException | None) -> set[str]:
    """Return the names of an error, those that led to it and their base classes, and the codes that S3 gave."""
    names: set[str] = set()
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        names |= {part.__name__ for part in type(error).__mro__ if part not in (object, BaseException, Exception)}
        answer = getattr(error, "response", None)
        if isinstance(answer, dict):
            names.add(str(answer.get("Error", {}).get("Code")))
        error = error.__cause__ or error.__context__
    return names


def _without_secrets(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
