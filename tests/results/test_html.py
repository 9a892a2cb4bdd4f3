"""The report as one page: it answers first, needs no network, escapes what users wrote, and shows what there is."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
from collections.abc import Callable, Iterable
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from distill.results.collect import Collected, collect
from distill.results.columns import shown
from distill.results.html import page
from distill.results.html.answer import compared
from distill.results.html.table import measure, setting, short_titles
from distill.results.rows import complete
from distill.results.study import study

from .conftest import leaving, three

SETTINGS = [(T, alpha) for T in (1.0, 4.0) for alpha in (0.3, 0.9)]
EVIL = "<script>alert(1)</script>"
VOID = {"meta", "link", "br", "input", "img"}


class Document(HTMLParser):
    """What a browser would find in a page."""

    def __init__(self, text: str):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[tuple[str, ...], str]] = []
        self._open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        self.texts.append((tuple(self._open), data))

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    def text(self, *within: str) -> str:
        found = "".join(data for opened, data in self.texts if set(within) <= set(opened))
        return re.sub(r"\s+", " ", found.replace("\N{NO-BREAK SPACE}", " ")).strip()

    @property
    def data(self) -> dict[str, Any]:
        return json.loads(next(data for opened, data in self.texts if opened[-1:] == ("script",)))

    def figures(self) -> list[str]:
        return [str(attributes["data-name"]) for attributes in self.of("figure")]


def details(errors: dict[str, list[list[int]]]) -> dict[str, Any]:
    bins = [[0, 0.0, 0.0]] * 12 + [[100, 0.8, 0.7], [0, 0.0, 0.0], [440, 0.98, 0.97]]
    networks = {
        role: {
            "class_accuracy": [0.9, 0.8, None],
            "confusions": confusions,
            "reliability": {"raw": bins, "scaled": None},
        }
        for role, confusions in errors.items()
    }
    return {"networks": networks}


def leave_study(leave: Callable[..., Path], names: Iterable[str] = ("cat", "dog", "owl")) -> None:
    """Four settings of three seeds; one of the runs failed."""
    errors = {"teacher": [[0, 1, 2]], "baseline": [[0, 1, 9], [1, 0, 4]], "student": [[0, 1, 5], [1, 0, 6]]}
    for number, (T, alpha) in enumerate(SETTINGS):
        for seed in (0, 1, 2):
            student = 0.95 + 0.005 * number + 0.001 * seed
            failed = (number, seed) == (1, 2)
            folder = leave(
                f"sweeps/s/{3 * number + seed}_job",
                None if failed else three(student, 0.94 + 0.001 * seed, 0.98, seed=seed, T=T, alpha=alpha),
                overrides={"T": f"{T:g}", "alpha": f"{alpha:g}", "seed": str(seed)},
                status="failed" if failed else "finished",
                error="the loss is NaN" if failed else None,
                seed=seed,
                sweep=True,
                command="distill train -m T=1,4 alpha=.3,.9 seed=0,1,2",
                git={"commit": "c0ffee", "dirty": True},
                versions={"python": "3.11.7", "torch": "2.15.0"},
                dataset={"name": "digits", "test": 540, "classes": list(names), "test_by_class": [200, 300, 40]},
            )
            (folder / "details.json").write_text(json.dumps(details(errors)))
            (folder / "config.resolved.yaml").write_text(f"T: {T}\nhparams: {{}}\nseed: {seed}\n")


def report(folder: Path) -> str:
    found = collect([folder])
    return page(found, study(found.rows, found.runs))


@pytest.fixture(scope="module")
def swept_text(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("study")
    leave_study(leaving(folder))
    return report(folder)


@pytest.fixture(scope="module")
def swept(swept_text: str) -> Document:
    return Document(swept_text)


def test_the_page_opens_with_the_verdict_and_the_winner(swept: Document) -> None:
    assert "T=4, alpha=0.9" in swept.text("h1")
    names = [name for name, _ in swept.tags]
    assert names.index("h1") < names.index("svg")
    numbers = swept.text("dl", "dd")
    # The winner's seeds gained 2.5 points each.
    assert "+2.50 points" in numbers
    assert "3/3" in numbers
    told = [data for opened, data in swept.texts if opened[-1:] in (("dt",), ("dd",))]
    assert told[told.index("T") + 1] == "1, 4"


def test_why_a_run_failed_is_said(swept: Document) -> None:
    assert "failed: the loss is NaN (5_job)" in swept.text("li")


def test_the_page_asks_for_nothing_over_the_network(swept: Document) -> None:
    assert not [tag for tag, _ in swept.tags if tag in ("link", "img", "iframe", "object")]
    for tag, attributes in swept.tags:
        for name in ("src", "href"):
            assert (attributes.get(name) or "#").startswith("#"), (tag, attributes)
    style = swept.text("style")
    assert "url(" not in style
    assert "@import" not in style


def test_only_its_own_script_may_run(swept: Document) -> None:
    policy = next(str(one["content"]) for one in swept.of("meta") if one.get("http-equiv"))
    script = (files("distill.results.html") / "assets" / "page.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert [attributes.get("type") for attributes in swept.of("script")] == ["application/json", None]
    assert not [name for _, attributes in swept.tags for name in attributes if name.startswith("on")]


def test_what_users_wrote_is_never_markup(leave: Callable[..., Path], tmp_path: Path) -> None:
    for seed in (0, 1):
        folder = leave(
            f"runs/{seed}",
            [{**row, "model": EVIL, f"method.{EVIL}": EVIL} for row in three(seed=seed)],
            overrides={f"method.{EVIL}": f"{EVIL}{seed}", "T": EVIL},
            seed=seed,
            command=EVIL,
            dataset={"name": EVIL, "test": 540, "classes": [EVIL, "b", "c"], "test_by_class": [1, 1, 1]},
        )
        errors = {role: [[0, 1, 5 + seed]] for role in ("teacher", "student")} | {"baseline": [[1, 0, 3]]}
        (folder / "details.json").write_text(json.dumps(details(errors)))
    leave("runs/bad", None, overrides={f"method.{EVIL}": "x"}, status="failed", error=EVIL)
    text = report(tmp_path)
    assert "<script>alert" not in text
    document = Document(text)
    assert len(document.of("script")) == 2
    assert EVIL in document.text("td")


def test_figures_are_drawn_for_desk_and_phone(swept: Document, swept_text: str) -> None:
    found = re.findall(r'<svg class="plot".*?</svg>(?=</div>)', swept_text, re.S)
    drawings = [ElementTree.fromstring(one) for one in found]
    widths = [drawing.attrib["viewBox"].split()[2] for drawing in drawings]
    assert len(drawings) == 2 * len(swept.figures())
    assert widths[1::2] == ["340"] * len(swept.figures())
    assert set(widths[::2]) == {"520", "860"}
    assert all(drawing.attrib["aria-label"] for drawing in drawings)


def test_a_sweep_shows_every_figure(swept: Document) -> None:
    assert swept.figures() == [
        "accuracy",
        "seed-by-seed",
        "accuracy-parameters",
        "accuracy-by-T",
        "accuracy-by-alpha",
        "accuracy-by-T-and-alpha",
        "learning-accuracy",
        "learning-loss",
        "calibration",
        "errors-student-baseline",
        "errors-student-teacher",
        "classes",
    ]


def test_each_figure_gives_its_data(swept: Document) -> None:
    data = swept.data["figures"]
    assert list(data) == swept.figures()
    grid = data["accuracy-by-T-and-alpha"].splitlines()
    assert grid[0] == "T,alpha,seeds,accuracy_%,gain_points"
    # Accuracies .95, .951 and .952 of three seeds, and .955 and .956 where the third failed.
    assert grid[1:3] == ["1,0.3,3,95.1,1", "1,0.9,2,95.55,1.5"]
    assert "cat,dog,5,9,-4" in data["errors-student-baseline"]


def test_captions_say_what_to_take_from_a_figure(swept: Document) -> None:
    captions = swept.text("figcaption")
    assert "4 of 4 settings are above their baseline on average" in captions
    assert "Highest at alpha=0.9: 96.60 % at T=4; over all values of T there the means span 1.05 points." in captions
    # Nine and four errors of the baseline became five and six.
    assert "2.0 errors fewer per run than the baseline; most saved: cat taken for dog (−4.0)" in captions


def test_tables_can_be_read_without_scripts(swept: Document) -> None:
    cells = swept.text("td")
    assert "96.60" in cells
    assert "95.55" in cells
    assert "distill train T=4 alpha=0.9 seed=2" in swept.text("noscript")


def test_the_data_of_tables_are_the_rows(swept: Document) -> None:
    settings, networks = swept.data["tables"]
    columns = {column["key"]: column for column in networks["columns"]}
    # Three teachers and baselines that the jobs share, and twelve students, of which one failed.
    assert networks["rows"] == 3 + 3 + 12
    assert sorted(value for value in columns["accuracy"]["values"] if value is not None)[-1] == 98
    assert columns["accuracy"]["values"].count(None) == 1
    assert columns["gain"]["unit"] == "points"
    assert settings["rows"] == 1 + 1 + 4
    by_key = {column["key"]: column for column in settings["columns"]}
    assert by_key["T"]["values"] == [None, None, 4, 4, 1, 1]  # the best first
    assert by_key["accuracy"]["values"][2] == 96.6


def test_each_run_tells_its_command_and_environment(swept: Document) -> None:
    runs = swept.data["runs"]

    def fact(name: str, run: int) -> str:
        column = runs["facts"][name]
        return column["prefix"] + column["levels"][column.get("constant", column.get("codes", [0])[run:][:1])]

    commands = runs["facts"]["Command"]
    assert commands["prefix"] + commands["levels"][commands["codes"][11]] == "distill train T=4 alpha=0.9 seed=2"
    assert fact("Commit", 0) == "c0ffee, with uncommitted changes"
    assert fact("Sweep", 0) == "distill train -m T=1,4 alpha=.3,.9 seed=0,1,2"
    config = runs["configs"][11]
    lines = [line for part in config for line in ([part] if isinstance(part, str) else runs["base"][slice(*part)])]
    assert lines == ["T: 4.0", "hparams: {}", "seed: 2"]


def test_one_run_has_no_statistics(leave: Callable[..., Path], tmp_path: Path) -> None:
    leave("runs/one", three())
    document = Document(report(tmp_path))
    assert document.figures() == ["accuracy", "accuracy-parameters", "learning-accuracy", "learning-loss"]
    assert "one seed: no interval" in document.text("dd")
    assert "p-value" not in document.text("dt")
    assert [table["name"] for table in document.data["tables"]] == ["networks"]


def test_runs_that_all_failed_still_make_a_page(leave: Callable[..., Path], tmp_path: Path) -> None:
    leave("runs/one", None, status="failed", error="out of memory")
    document = Document(report(tmp_path))
    assert document.figures() == []
    assert "out of memory" in document.text("li")
    assert document.text("h1")


def test_accuracies_on_several_data_sets_are_not_drawn_beside_one_another(
    leave: Callable[..., Path], tmp_path: Path
) -> None:
    for number, dataset in enumerate(("digits", "mnist")):
        rows = [{**row, "dataset": dataset, "signature": f"{row['signature']}{dataset}"} for row in three()]
        leave(f"runs/{number}", rows, overrides={"dataset": dataset}, dataset={"name": dataset, "test": 540})
    document = Document(report(tmp_path))
    assert document.figures() == []
    assert "Best chosen by" not in document.text("dt")
    assert document.data["tables"][1]["rows"] == 6


def test_what_was_compared_names_defaults_and_every_size(leave: Callable[..., Path], tmp_path: Path) -> None:
    for number, (val, params) in enumerate(((0, 10), (80, 20))):
        rows = [{**row, "params": params, "signature": f"{row['signature']}{val}"} for row in three()]
        dataset = {"name": "digits", "val": val, "test": 540}
        leave(f"runs/{number}", rows, overrides={"hparams.lr": "0.5"} if val else {}, dataset=dataset)
    found = collect([tmp_path])
    told = dict(compared(found, study(found.rows, found.runs)))
    assert told["hparams.lr"] == "default, 0.5"
    assert told["Data"] == "digits: 540 test examples; digits: 80 validation, 540 test examples"
    assert told["Student"].count("parameters)") == 2


def test_numbers_are_rounded_alike_by_page_and_script() -> None:
    """28.125 is between 28.12 and 28.13; Python takes the even one, the script the larger one unless it is told."""
    column = measure("accuracy", [0.28125, 0.5, 0.2813499999, 0.28])
    assert [column.cell(row) for row in range(4)] == ["28.12", "50.00", "28.13", "28.00"]
    assert column.packed()["values"] == [28.125, 50, 28.135, 28]
    assert column.packed()["odd"] == {0: "28.12", 2: "28.13"}
    assert measure("accuracy", [0.28125, 0.28125]).packed()["odd"] == {0: "28.12"}


def test_huge_numbers_are_short_and_none_at_all_is_no_number() -> None:
    column = measure("nll", [1e20, math.inf, None])
    assert [column.cell(row) for row in range(3)] == ["1e+20", "inf", ""]
    packed = column.packed()
    assert packed["values"] == [1e20, None, None]
    assert packed["odd"] == {0: "1e+20", 1: "inf"}
    assert shown("nll", 1e20) == "1e+20"


def test_settings_stand_as_they_were_given() -> None:
    column = setting("hparams.lr", ["2e-3", "0.01", ""])
    assert [column.cell(row) for row in range(3)] == ["2e-3", "0.01", ""]
    assert column.packed()["odd"] == {0: "2e-3"}
    assert measure("seed", [1234567, 2]).cell(0) == "1234567"


def test_accuracy_and_gain_follow_what_tells_rows_apart(swept: Document) -> None:
    for table in swept.data["tables"]:
        shown_there = [column["key"] for column in table["columns"] if column["shown"]]
        assert shown_there[:5] == ["role", "T", "alpha", "accuracy", "gain"]


def test_long_keys_are_headed_by_their_last_part_where_it_is_clear() -> None:
    found = short_titles(["hparams.student.lr", "a.width", "b.width", "x.seed"])
    assert found == {"hparams.student.lr": "lr", "a.width": "a.width", "b.width": "b.width", "x.seed": "x.seed"}


def test_the_headline_of_a_study_of_methods_is_short(leave: Callable[..., Path], tmp_path: Path) -> None:
    for number, (method, seed) in enumerate((method, seed) for method in ("at", "dkd") for seed in range(6)):
        rows = three(0.95 + 0.003 * (method == "dkd") + 0.001 * seed, seed=seed, method=method)
        leave(f"s/{number}", rows, {"method": method, "seed": str(seed)})
    document = Document(report(tmp_path))
    assert document.text("h1").endswith("above the same network trained on hard labels alone.")
    assert len(re.findall(r"\S*\w\S*", document.text("h1"))) <= 32


def test_a_run_without_baseline_or_teacher_makes_a_page(leave: Callable[..., Path], tmp_path: Path) -> None:
    leave("runs/one", complete([row for row in three() if row["role"] == "student"]))
    assert "accuracy" in Document(report(tmp_path)).figures()


def test_damaged_files_beside_a_run_leave_their_figures_out(leave: Callable[..., Path], tmp_path: Path) -> None:
    folder = leave("runs/one", three())
    (folder / "details.json").write_text("{")
    (folder / "metrics.csv").write_text("")
    assert Document(report(tmp_path)).figures() == ["accuracy", "accuracy-parameters"]


def test_many_runs_cost_little_each(leave: Callable[..., Path], tmp_path: Path) -> None:
    def leave_seeds(seeds: range) -> Collected:
        for seed in seeds:
            leave(f"runs/{seed}", three(seed=seed), overrides={"seed": str(seed)}, seed=seed)
        return collect([tmp_path])

    few = leave_seeds(range(10))
    small = len(page(few, study(few.rows, few.runs)))
    many = leave_seeds(range(10, 20))
    assert len(page(many, study(many.rows, many.runs))) - small < 10 * 6_000
