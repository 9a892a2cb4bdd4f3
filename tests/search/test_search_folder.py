"""The folder of a search, and when the next one goes on in it."""

import json

import pytest

from distill.search.record import SearchFolder

WORDS = ["space=mlp", "budget.latency_ms=1"]


def unexpected() -> float:
    raise AssertionError("this candidate has been timed before")


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_same_words_go_on_where_a_search_was_interrupted_with_the_latencies_it_measured():
    first = SearchFolder("outputs", WORDS)
    first.begin()
    assert first.timed(["student.widths=[8]"], lambda: 0.5) == 0.5
    first.tell(status="interrupted")
    again = SearchFolder("outputs", WORDS)
    assert (again.resumed, again.path) == (True, first.path)
    assert again.timed(["student.widths=[8]"], unexpected) == 0.5


@pytest.mark.parametrize(
    ("status", "words"),
    [("finished", WORDS), ("failed", WORDS), ("running", WORDS), ("interrupted", [*WORDS, "seed=1"])],
)
def test_otherwise_a_search_has_a_folder_of_its_own(status, words):
    first = SearchFolder("outputs", WORDS)
    first.begin()
    first.tell(status=status)  # the process of one that is running is this one, which is alive
    second = SearchFolder("outputs", words)
    assert (second.resumed, second.path == first.path) == (False, False)


def test_a_search_that_was_killed_is_gone_on_with():
    first = SearchFolder("outputs", WORDS)
    first.begin()
    file = first.path / "search.json"
    facts = json.loads(file.read_text(encoding="utf-8"))
    facts["process"]["pid"] = 2**22 + 1  # larger than any that Linux gives
    file.write_text(json.dumps(facts), encoding="utf-8")
    assert SearchFolder("outputs", WORDS).resumed


def test_nothing_is_written_before_a_search_begins(tmp_path):
    folder = SearchFolder("outputs", WORDS)
    folder.timed(["student.widths=[8]"], lambda: 0.5)
    assert list(tmp_path.iterdir()) == []
