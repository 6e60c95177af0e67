"""The demonstration's progress bar."""

import io

import pytest

from harborsync.demo.progress import ProgressBar, draw_state


class Terminal(io.StringIO):
    def isatty(self):
        return True


def execution(done, total, status="InProgress"):
    return {"bytes_done": done, "bytes_total": total, "status": status}


@pytest.mark.parametrize(
    ("state", "drawn"),
    [
        (execution(0, 0), "[--------------------------------]   0 %  0.0 of 0.0 MiB  InProgress"),
        (execution(16 << 20, 64 << 20), "[########------------------------]  25 %  16.0 of 64.0 MiB  InProgress"),
        (execution(1 << 20, 1 << 20, "Succeed"), "[################################] 100 %  1.0 of 1.0 MiB  Succeed"),
    ],
)
def test_a_bar_says_how_far_an_execution_is(state, drawn):
    assert draw_state(state) == drawn


def test_the_same_state_is_drawn_once():
    stream = io.StringIO()
    bar = ProgressBar(stream)
    bar.show(execution(1, 2))
    bar.show(execution(1, 2))
    assert len(stream.getvalue().splitlines()) == 1


def test_a_terminal_keeps_one_line():
    stream = Terminal()
    bar = ProgressBar(stream)
    bar.show(execution(1, 2))
    bar.show(execution(2, 2))
    bar.end()
    assert stream.getvalue().count("\n") == 1
