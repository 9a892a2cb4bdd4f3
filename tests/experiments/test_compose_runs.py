"""Compositions through the whole program: the command line, signatures, and what is logged."""

import json

SMOKE = ("hparams=smoke", "method=compose")


def test_terms_need_no_quotes_and_are_logged_by_their_names(train, read_table):
    left = train(*SMOKE, "terms=hinton+0.5*cc")
    assert left.code == 0, left.said
    assert left.facts["teacher_outputs"] == "live"
    row = next(row for row in read_table(left.folder / "metrics.csv") if row["role"] == "student")
    parts = {name: float(value) for name, value in row.items() if name in ("loss_hinton.soft", "loss_cc", "loss_hard")}
    assert len(parts) == 3, row
    assert abs(sum(parts.values()) - float(row["loss"])) < 1e-4


def test_spelling_makes_no_other_network_and_options_do(train):
    signatures = []
    for terms in ("hinton+rkd", "[{name: hinton, T: 4.0},1.0*rkd]", "[hinton,{name: rkd, angle: 10}]"):
        left = train(*SMOKE, f"terms={terms}")
        assert left.code == 0, left.said
        signatures.append(left.row("student")["signature"])
    assert signatures[0] == signatures[1] != signatures[2]


def test_compositions_are_swept(train):
    left = train("-m", *SMOKE, "terms=hinton,hinton+rkd")
    assert left.code == 0, left.said
    records = [json.loads(path.read_text()) for path in left.folder.glob("*/run.json")]
    assert {record["overrides"]["terms"] for record in records} == {"hinton", "hinton+rkd"}
    asked = {record["overrides"]["terms"]: record["teacher_outputs"] for record in records}
    assert asked == {"hinton": "cached", "hinton+rkd": "live"}


def test_where_a_network_is_read_matters_to_what_reads_it(configure):
    from distill.experiments.plan import plan
    from distill.experiments.signature import _taps

    def read(*words: str) -> dict[str, object]:
        student = plan(configure("method=compose", *words))[-1]
        return _taps(student, student)

    assert set(read("terms=hinton")) == set()
    assert set(read("terms=hinton+sp")) == {"features"}


def test_mistakes_are_told_before_anything_trains(train, tmp_path):
    left = train(*SMOKE, "terms=[hinton,{name: rkd, distance: -1}]")
    assert left.code == 2
    assert "distill: terms[1].distance=-1 is not allowed: it must be greater than or equal to 0." in left.said
    assert not (tmp_path / "outputs/store").exists()
