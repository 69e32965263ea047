"""Starting the dashboard: what is wrong is said before anything runs; a search beside it isn't held up."""

import socket
import threading
import time
import urllib.request
from pathlib import Path

import pytest

from archfront.contracts import WrongUse
from archfront.report.results import Results
from archfront.study import open_study
from dashboard import create_app, serve
from dashboard.library import Library
from tests.dashboard.example_study import write_study


def test_a_port_in_use_is_said_with_its_cure(url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(WrongUse, match=rf"port {port} on 127.0.0.1 is in use; choose another with --port"):
            serve(url, port=port)


def test_a_missing_database_is_said(tmp_path: Path) -> None:
    with pytest.raises(WrongUse, match="no study database at"):
        create_app(f"sqlite:///{tmp_path / 'none.db'}")
    assert not list(tmp_path.iterdir())


def test_the_database_is_opened_read_only(url: str) -> None:
    library = Library(url)
    with library.database.reading() as connection, pytest.raises(Exception, match="readonly"):
        connection.exec_driver_sql("UPDATE studies SET seed = 1")


def test_columns_are_kept_and_brought_up_to_date(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'a.db'}"
    write_study(url, 5)
    library = Library(url)
    study = library.study("digits")
    first = library.shown(study)
    assert len(first) == 5
    write_study(url, 3)
    assert library.shown(study) is first and len(first) == 8


def test_a_database_put_in_another_s_place_is_read_anew(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'a.db'}"
    write_study(url, 5)
    library = Library(url)
    assert len(library.shown(library.study("digits"))) == 5
    for piece in tmp_path.glob("a.db*"):
        piece.unlink()
    write_study(url, 2)
    assert len(library.shown(library.study("digits"))) == 2


def test_a_search_goes_on_while_the_dashboard_reads(served: str, url: str) -> None:
    stop, answers = threading.Event(), []

    def read() -> None:
        while not stop.is_set():
            for path in ("api/studies", "api/studies/busy", "api/studies/busy/front"):
                with urllib.request.urlopen(f"{served}/{path}", timeout=30) as answer:
                    answers.append(answer.status)

    write_study(url, 1, "busy")
    reader = threading.Thread(target=read)
    reader.start()
    try:
        began = time.monotonic()
        write_study(url, 150, "busy")
        took = time.monotonic() - began
    finally:
        stop.set()
        reader.join()
    study = open_study("busy", url)
    assert len(study.rows()) == 151 and study.counts()["running"] == 0
    assert answers and set(answers) == {200}
    assert took < 30
    assert len(Results(study, ["accuracy"]).refresh()) == 151
