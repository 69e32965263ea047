"""Opening a study database: creation by migration, the check of its revision, and SQLite's settings."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, Engine, make_url

from archfront.contracts import WrongUse
from archfront.study.schema import REVISION, studies

EARLIER = ("0001",)
"""Revisions that a database is brought up from when it is opened."""
DEFAULT_URL = "sqlite:///archfront.db"


class Database:
    """One database by URL; `read_only` opens SQLite so that nothing can be written or locked by this process."""

    def __init__(self, url: str = DEFAULT_URL, read_only: bool = False, create: bool = False) -> None:
        self._name(url)
        self.read_only = read_only
        file = self.file
        if file is not None and not file.exists() and not create:
            raise WrongUse(f"no study database at {file}; start one with 'archfront search' or name another with --db")
        self.engine = self._engine()
        try:
            self._prepare(create)
        except sa.exc.DatabaseError as error:
            raise WrongUse(f"{url} can't be used as a study database: {_line(error)}") from None

    @classmethod
    def planned(cls, url: str) -> "Database":
        """A database that is only named, neither made nor opened yet: for its `file` and `folder`."""
        named = cls.__new__(cls)
        named._name(url)
        return named

    def _name(self, url: str) -> None:
        self.url = url
        self._parsed = _parse(url)

    def has(self, study: str) -> bool:
        """Whether there is a study of that name."""
        with self.reading() as connection:
            return connection.execute(sa.select(studies.c.id).where(studies.c.name == study)).first() is not None

    @property
    def file(self) -> Path | None:
        """The file of a SQLite database."""
        if self._parsed.get_backend_name() == "sqlite" and self._parsed.database not in (None, "", ":memory:"):
            return Path(str(self._parsed.database))
        return None

    @property
    def folder(self) -> Path:
        """Where the artifacts of this database's studies are kept: beside a SQLite file, or in the working folder."""
        if self.file is not None:
            return self.file.with_suffix(".files").absolute()
        return Path(os.environ.get("ARCHFRONT_FILES", "archfront.files")).absolute()

    @contextmanager
    def writing(self, durable: bool = True) -> Iterator[Connection]:
        """A transaction that writes; on SQLite it takes the write lock at once, so that it never fails half-way.

        What is committed survives the death of any process; a power cut, too, when `durable` (or when a durable
        transaction follows).
        """
        with self.engine.connect() as connection:
            if self._sqlite:
                connection.exec_driver_sql(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
                connection.exec_driver_sql("BEGIN IMMEDIATE")
                try:
                    yield connection
                except BaseException:
                    connection.exec_driver_sql("ROLLBACK")
                    raise
                connection.exec_driver_sql("COMMIT")
            else:
                with connection.begin():
                    yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection for queries."""
        with self.engine.connect() as connection:
            yield connection

    @property
    def _sqlite(self) -> bool:
        return self._parsed.get_backend_name() == "sqlite"

    def _engine(self) -> Engine:
        url: URL = self._parsed
        if not self._sqlite:
            try:
                return sa.create_engine(url, pool_pre_ping=True)
            except sa.exc.ArgumentError as error:
                raise WrongUse(f"'{self.url}' is no database that can be used: {_line(error)}") from None
            except ModuleNotFoundError as error:
                raise WrongUse(f"'{self.url}' needs {error.name}: pip install 'archfront[postgres]'") from None
        if self.read_only and self.file is not None:
            url = url.set(database=f"file:{self.file.absolute()}", query={"mode": "ro", "uri": "true"})
        # Autocommit lets `writing` say BEGIN IMMEDIATE itself; the driver's own BEGIN would come too late.
        engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", connect_args={"timeout": 60})

        @sa.event.listens_for(engine, "connect")
        def settings(connection: Any, _: Any) -> None:
            cursor = connection.cursor()
            if not self.read_only:
                cursor.execute("PRAGMA journal_mode=WAL")
            cursor.execute("PRAGMA foreign_keys=ON")
            cursor.close()

        return engine

    def _upgrade(self, found: str) -> None:
        """Bring a database of an earlier revision up to this one, also for whoever only reads it."""
        try:
            with Database._opened(self.url).writing() as connection:
                migrate(connection)
        except sa.exc.DBAPIError as error:
            raise WrongUse(
                f"{self.url} has schema version {found}, older than {REVISION}, and can't be brought up to it: "
                f"{_line(error)}; open it once where it can be written"
            ) from None

    @classmethod
    def _opened(cls, url: str) -> "Database":
        """A database to write to, whatever its revision."""
        opened = cls.planned(url)
        opened.read_only = False
        opened.engine = opened._engine()
        return opened

    def _prepare(self, create: bool) -> None:
        with self.engine.connect() as connection:
            tables = set(sa.inspect(connection).get_table_names())
        if not tables and create:
            # In one transaction, so that a process killed here leaves an empty database and not half a one.
            with self.writing() as connection:
                migrate(connection)
            return
        with self.engine.connect() as connection:
            if "alembic_version" not in tables or "studies" not in tables:
                raise WrongUse(f"{self.url} is no study database of Archfront; name another with --db")
            found = str(connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar())
        if found in EARLIER:
            self._upgrade(found)
        elif found != REVISION:
            raise WrongUse(
                f"{self.url} has schema version {found}, this Archfront knows {REVISION}; "
                "use the version of Archfront that wrote it, or another --db"
            )


def migrate(connection: Connection) -> None:
    """Bring a database to the newest revision."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _parse(url: str) -> URL:
    try:
        return make_url(url if "://" in url else f"sqlite:///{url}")
    except sa.exc.ArgumentError:
        raise WrongUse(f"'{url}' is no database URL; say sqlite:///file.db or postgresql+psycopg://…") from None


def _line(error: Exception) -> str:
    return str(getattr(error, "orig", error)).split("\n")[0]
