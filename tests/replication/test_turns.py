"""A worker's process is given back while long work goes on in it."""

import logging
import threading

import pytest

from replication.runner.turns import Turns


def test_work_that_ends_within_its_turn_is_waited_for():
    done = []
    Turns().work(lambda: done.append(threading.current_thread().name))
    assert done[0].startswith("turn")


def test_what_it_raises_within_its_turn_comes_through():
    def fail() -> None:
        raise LookupError("a bug")

    with pytest.raises(LookupError):
        Turns().work(fail)


def test_work_that_takes_longer_goes_on_while_other_work_is_taken():
    turns, end, done = Turns(), threading.Event(), []
    turns.work(lambda: end.wait(20) and done.append("long"), patience_seconds=0.01)
    turns.work(lambda: done.append("short"))
    assert done == ["short"]
    end.set()
    turns._pool.shutdown(wait=True)
    assert done == ["short", "long"]


def test_only_so_much_goes_on_in_one_process():
    turns, end = Turns(overtime_at_most=1), threading.Event()
    turns.work(lambda: end.wait(20), patience_seconds=0.01)
    timer = threading.Timer(0.2, end.set)
    timer.start()
    turns.work(lambda: end.wait(20), patience_seconds=0.01)
    assert end.is_set(), "the second one was not waited for"


def test_what_goes_wrong_later_is_logged(caplog):
    turns, end = Turns(), threading.Event()

    def fail() -> None:
        end.wait(20)
        raise LookupError("a bug")

    turns.work(fail, patience_seconds=0.01)
    with caplog.at_level(logging.ERROR):
        end.set()
        turns._pool.shutdown(wait=True)
    assert "turn.bug" in caplog.text
