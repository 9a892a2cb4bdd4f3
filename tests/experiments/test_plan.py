import pytest

from distill.experiments.plan import plan


def test_a_teacher_a_baseline_and_a_student_that_the_teacher_teaches(configure):
    nodes = plan(configure("method=hinton"))
    assert [(node.role, node.method.name, node.parents) for node in nodes] == [
        ("teacher", "none", ()),
        ("baseline", "none", ()),
        ("student", "hinton", ("teacher",)),
    ]


def test_baseline_and_student_differ_in_nothing_but_what_teaches_them(configure):
    _, baseline, student = plan(configure("hparams.student.lr=0.5", "student.dropout=0.25"))
    assert baseline.model == student.model
    assert baseline.hparams == student.hparams
    assert (baseline.hparams.lr, baseline.examples, student.examples) == (0.5, "transfer", "transfer")


def test_the_teacher_has_its_own_network_and_hparams_and_sees_all_examples(configure):
    teacher = plan(configure("model@teacher=mlp_800", "hparams.teacher.lr=0.5"))[0]
    assert (teacher.model.label(), teacher.hparams.lr, teacher.examples) == ("mlp-800-800", 0.5, "train")


def test_without_a_method_there_is_no_student(configure):
    assert [node.role for node in plan(configure("method=none"))] == ["teacher", "baseline"]


@pytest.mark.parametrize("method", ["hinton", "soft_hard", "logits", "hard_teacher"])
def test_every_method_that_has_a_teacher_comes_after_it(configure, method):
    roles = [node.role for node in plan(configure(f"method={method}"))]
    assert roles.index("teacher") < roles.index("student")
