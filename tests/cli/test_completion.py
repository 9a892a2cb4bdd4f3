import pytest

from distill.commands import COMMANDS


@pytest.fixture
def complete(distill, monkeypatch):
    def answers(line: str) -> list[str]:
        monkeypatch.setenv("COMP_LINE", line)
        monkeypatch.setenv("COMP_POINT", str(len(line)))
        ended = distill("-sc", "query=bash")
        assert (ended.code, ended.err, ended.left) == (0, "", ())
        return ended.out.split()

    return answers


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("distill ", [*COMMANDS]),
        ("distill tr", ["train"]),
        ("distill x", []),
        ("distill list m", ["models", "methods"]),
        ("distill store ", ["ls", "rm"]),
        ("distill list models ", []),
        ("distill train method=h", ["method=hard_teacher", "method=hinton"]),
        ("distill train dataset=mn", ["dataset=mnist"]),
        ("distill train hparams.ep", ["hparams.epochs="]),
        ("distill train T=2 alp", ["alpha="]),
        ("distill train seeds=6 alp", ["alpha="]),
        ("distill train see", ["seed=", "seeds="]),
        ("distill train -m method=hinton T", ["T="]),
        ("distill train method=soft_hard method.soft", ["method.soft_weight="]),
    ],
)
def test_words_that_may_come_next(complete, line, expected):
    assert complete(line) == expected


def test_networks_are_completed_for_each_mount(complete):
    assert complete("distill train model@teacher=mlp_4") == ["model@teacher=mlp_400"]
    assert complete("distill train model@st") == ["model@student="]


@pytest.mark.parametrize("shell", ["bash", "fish"])
def test_the_shell_is_told_how_to_ask(distill, shell):
    ended = distill("-sc", f"install={shell}")
    assert (ended.code, ended.err) == (0, "")
    assert "distill" in ended.out
    assert f"query={shell}" in ended.out
