import subprocess
import sys

from distill.results import process


def test_this_process_is_alive_and_one_that_ended_is_not():
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert process.is_alive(process.this()) is True
    assert process.is_alive({**process.this(), "pid": ended.pid}) is False


def test_another_process_that_has_the_number_now_is_not_the_one_of_the_record():
    assert process.is_alive({**process.this(), "started": "before the machine was started anew"}) is False


def test_nobody_can_tell_of_another_machine():
    assert process.is_alive({**process.this(), "host": "elsewhere"}) is None
    assert process.is_alive(None) is None
