"""`distill inspect` on a run that trained for an instant, and on logits."""

from __future__ import annotations

import csv
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hydra.core.global_hydra import GlobalHydra
from PIL import Image

from distill import cli
from distill.files import write_bytes

FILES = {"examples.png", "pairs.png", "disagreements.png", "inspect.csv", "inspect.md"}


@pytest.fixture(scope="module")
def trained_by(tmp_path_factory) -> Callable[..., Path]:
    """`trained_by("method=none")` is the folder of such a run, which tests share."""
    runs: dict[tuple[str, ...], Path] = {}

    def train(*words: str) -> Path:
        if words not in runs:
            folder = tmp_path_factory.mktemp("trained")
            with pytest.MonkeyPatch.context() as patch:
                patch.chdir(folder)
                patch.setattr(sys, "argv", ["distill", "train", "hparams=smoke", "verbosity=quiet", *words])
                GlobalHydra.instance().clear()
                with pytest.raises(SystemExit) as ended:
                    cli.main()
            assert not ended.value.code
            runs[words] = next((folder / "outputs" / "runs").iterdir())
        return runs[words]

    return train


@pytest.fixture
def run(trained, tmp_path) -> Path:
    """A copy of the run, whose folder may be written to."""
    return Path(shutil.copytree(trained, tmp_path / "run"))


@pytest.fixture
def unpainted(monkeypatch) -> None:
    """Plots are put together, but not painted, which takes longest."""
    monkeypatch.setattr("distill.results.canvas.save", lambda figure, path: write_bytes(path, b"painted"))


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_run_is_looked_at_and_files_are_left_beside_it(distill, run):
    ended = distill("inspect", "run", "T=1,3", "--index", "7,8")
    assert (ended.code, ended.err) == (0, "")
    assert {Path(name).name for name in ended.left} - {"inspect"} == FILES
    for words in ("test example 7: asked for", "test example 8: asked for", " T=1 ", " T=3"):
        assert words in ended.out
    assert "Classes the teacher takes for each other" in ended.out
    assert "Mean KL(teacher || student), nats: " in ended.out
    (row,) = (row for row in read(run / "results.csv") if row["role"] == "student")
    assert f"on {100 * float(row['agreement']):.2f} % of 256 test examples" in ended.out
    assert all(f"run/inspect/{name}" in ended.out for name in FILES)

    # The file holds whole distributions of both networks.
    rows = [row for row in read(run / "inspect" / "inspect.csv") if row["example"] == "7"]
    assert [(row["role"], row["T"]) for row in rows] == [
        ("teacher", "1"),
        ("teacher", "3"),
        ("student", "1"),
        ("student", "3"),
    ]
    for row in rows:
        shares = np.array([float(value) for name, value in row.items() if name.startswith("p(")])
        assert len(shares) == 10
        assert shares.sum() == pytest.approx(1, abs=1e-4)
        assert float(row["entropy_nats"]) == pytest.approx(-(shares * np.log(shares)).sum(), abs=1e-3)
        assert row["prediction"] == str(shares.argmax())
    cold, warm = (float(row["entropy_nats"]) for row in rows[:2])
    assert cold < warm


def test_telling_examples_are_chosen_and_the_page_says_why(distill, run):
    ended = distill("inspect", "run", "--count", "3", "T=4", "--output", "elsewhere/deep")
    assert ended.code == 0, ended.err
    assert not (run / "inspect").exists()
    page = Path("elsewhere/deep/inspect.md").read_text(encoding="utf-8")
    for reason in ("its surest mistake", "its least sure right answer", "its highest entropy"):
        assert reason in ended.out
        assert reason in page
    for name in ("examples.png", "pairs.png", "disagreements.png"):
        with Image.open(f"elsewhere/deep/{name}") as picture:
            assert min(picture.size) > 300
        assert f"]({name})" in page


@pytest.mark.usefixtures("unpainted")
def test_the_student_can_be_looked_at_and_may_be_named_by_its_file(distill, run):
    by_role = distill("inspect", "run", "--role", "student", "--index", "0", "T=2", "--output", "a")
    by_file = distill("inspect", "run/checkpoints/student.safetensors", "T=2", "--index", "0", "--output", "b")
    assert by_role.code == by_file.code == 0
    assert "What the student says of single examples" in by_role.out
    assert "Mean KL(teacher || student)" in by_role.out
    assert Path("a/inspect.csv").read_text(encoding="utf-8") == Path("b/inspect.csv").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("method", "sentences"),
    [
        ("none", ["no distilled student (method=none)", "Mean KL(teacher || baseline)"]),
        ("tf_kd", ["method=tf_kd trains no teacher", "Mean KL(student || baseline)"]),
    ],
)
@pytest.mark.usefixtures("unpainted")
def test_a_run_without_student_or_teacher_shows_what_there_is(distill, trained_by, method, sentences):
    ended = distill("inspect", str(trained_by(f"method={method}")), "T=1", "--count", "1", "--output", "look")
    assert (ended.code, ended.err) == (0, "")
    assert all(sentence in ended.out for sentence in sentences)


@pytest.mark.usefixtures("unpainted")
def test_a_run_with_one_network_left_compares_nothing(distill, run):
    for role in ("baseline", "student"):
        (run / "checkpoints" / f"{role}.safetensors").unlink()
    ended = distill("inspect", "run", "--count", "1")
    assert (ended.code, ended.err) == (0, "")
    assert "nothing to compare the teacher with" in ended.out
    assert all(f"T={T}" in ended.out for T in (1, 4, 10))  # the student was to be taught at 4
    assert {Path(name).name for name in ended.left} - {"inspect"} == FILES - {"disagreements.png"}


@pytest.mark.usefixtures("unpainted")
def test_inputs_that_are_no_pictures_are_looked_at_without(distill, tmp_path):
    random = np.random.default_rng(0)
    labels = np.arange(60) % 3
    inputs = {"x_train": random.normal(size=(60, 5)).astype(np.float32), "y_train": labels}
    np.savez(tmp_path / "vectors.npz", **inputs, x_test=inputs["x_train"], y_test=labels)
    data = ["dataset=tensors", "dataset.path=vectors.npz", "dataset.class_names=[$a$,'x|y',c]"]
    more = ["dataset.limit_transfer=null", "output=out", "verbosity=quiet"]
    assert distill("train", "hparams=smoke", *data, *more).code == 0
    ended = distill("inspect", str(next(Path("out/runs").iterdir())), "--count", "1", "T=1", "--output", "look")
    assert (ended.code, ended.err) == (0, "")
    assert "The inputs are no pictures, so that none are drawn." in ended.out
    assert {path.name for path in Path("look").iterdir()} == FILES - {"disagreements.png"}
    assert r"x\|y" in Path("look/inspect.md").read_text(encoding="utf-8")
    Path("vectors.npz").unlink()
    gone = distill("inspect", str(next(Path("out/runs").iterdir())))
    assert (gone.code, gone.left, len(gone.err.splitlines())) == (2, (), 1)
    assert "vectors.npz" in gone.err


def test_logits_need_no_run(distill):
    ended = distill(
        "inspect", "--logits", "2,1,.5,.2", "T=1,5", "--labels", "cat,dog,cow,car", "--png", "made/soft.png"
    )
    assert (ended.code, ended.err, ended.left) == (0, "", ("made", "made/soft.png"))
    lines = [line.split() for line in ended.out.splitlines()]
    # e^2 / (e^2 + e + e^.5 + e^.2) = 7.389 / 12.978
    assert next(line for line in lines if line[:1] == ["cat"])[1:3] == ["2", "0.569"]
    entropies = next(line for line in lines if line[:1] == ["entropy,"])
    assert entropies == ["entropy,", "nats", "1.13", "1.38"]


def test_logits_import_no_torch_and_may_be_negative(tmp_path):
    script = "import sys; sys.argv[1:] = ['inspect', '--logits', '-1e308,3,-2', 'T=1e-300,2']\n"
    script += "from distill.cli import main\ntry: main()\nexcept SystemExit as ended: assert not ended.code\n"
    script += "assert not {'torch', 'pandas', 'matplotlib'} & sys.modules.keys()"
    done = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "T=1e-300" in done.stdout


@pytest.mark.parametrize(
    ("line", "fragments"),
    [
        ("", ["one run or at --logits"]),
        ("run --logits 1,2", ["one run or at --logits"]),
        ("run run", ["one run or at --logits"]),
        ("nowhere", ["There is no nowhere"]),
        (".", ["holds", "runs", "run"]),
        ("run --index 256", ["--index 256", "0 to 255"]),
        ("run --index -1,2", ["--index -1,2", "'-1'", "from 0"]),
        ("run --index x", ["--index x"]),
        ("run --index 1 --count 2", ["--index and --count"]),
        ("run --count 0", ["--count 0", "from 1 to 24"]),
        ("run --count 25", ["--count 25"]),
        ("run --role tutor", ["tutor", "teacher, baseline, student"]),
        ("run --device gpu", ["device=gpu"]),
        ("run T=0", ["T=0", "greater than 0"]),
        ("run T=1,x", ["T=1,x", "'x' is not a number"]),
        ("run T=", ["T="]),
        ("run T=1 T=2", ["together", "T=1,3,10"]),
        ("run alpha=.3", ["alpha=.3"]),
        ("run --png x.png", ["--png", "--logits"]),
        ("run --bogus", ["--bogus", "distill inspect --help"]),
        ("run --output /proc/x T=1 --count 1", ["/proc/x"]),
        ("--logits", ["--logits"]),
        ("--logits 1", ["at least two"]),
        ("--logits 1,a", ["'a' is not a number"]),
        ("--logits 1,nan", ["nan is not finite"]),
        ("--logits 1,2 T=inf", ["T=inf", "not finite"]),
        ("--logits 1,2 --labels cat", ["--labels cat", "2 classes"]),
        ("--logits 1,2 --output x", ["--output", "a run"]),
        ("--logits 1,2 --png /proc/x/y.png", ["/proc/x"]),
    ],
)
def test_a_mistake_is_one_sentence_and_leaves_nothing(distill, run, line, fragments):
    ended = distill("inspect", *line.split())
    assert (ended.code, ended.out, ended.left) == (2, "", ())
    assert len(ended.err.splitlines()) == 1, ended.err
    for fragment in fragments:
        assert fragment in ended.err
