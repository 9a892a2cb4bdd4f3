"""What Hydra refuses is said in one sentence that names what was given and what is allowed."""

import pytest
from hydra.errors import HydraException

from distill.config import tree
from distill.config.explain import explain


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ["method=hintn"],
            "method=hintn is not allowed (did you mean 'hinton'?): it must be one of ",
        ),
        (["model@student=mlp64"], "model@student=mlp64 is not allowed (did you mean 'mlp_64'?): it must be one of "),
        (["dataset=mnst"], "dataset=mnst is not allowed (did you mean 'mnist'?): it must be one of "),
        (["sed=1"], "There is no key sed (did you mean 'seed'?); `distill train --cfg job` shows"),
        (["hparams.lrr=1"], "There is no key hparams.lrr (did you mean 'hparams.lr'?); "),
        (["student.widhts=1"], "There is no key student.widhts (did you mean 'student.widths'?); "),
        (["model=mlp_64"], "There is no key model: give it for each network, with model@teacher= or model@student=."),
        (["modle@student=mlp"], "There is no group modle (did you mean 'model'?): it must be one of "),
        (["method=none", "T=1"], "There is no key T with method=none: it belongs to method="),
        (["method=logits", "alpha=1"], "There is no key alpha with method=logits: it belongs to method="),
        (["bare"], "'bare' is not an override: write key=value, such as T=4."),
        (["T=[1"], "The command line cannot be read: "),
        (["T=1,2"], "T=1,2 is several values: add -m for a run with each, or write [1,2] for a list."),
    ],
)
def test_one_sentence_for_each_kind_of_mistake(words, sentence, composed):
    with pytest.raises(HydraException) as caught:
        composed(*words)
    told = explain(caught.value, words)
    assert told.startswith(sentence)
    assert "\n" not in told


def test_an_unknown_option_is_told_with_all_that_there_are(composed):
    with pytest.raises(HydraException) as caught:
        composed("hparams=smok")
    names = ", ".join(choice.name for choice in tree.choices("hparams"))
    assert explain(caught.value, ["hparams=smok"]).endswith(f"it must be one of {names}.")


def test_the_owner_of_a_short_key_is_named(composed):
    with pytest.raises(HydraException) as caught:
        composed("method=none", "T=1")
    owners = explain(caught.value, ["method=none", "T=1"]).rpartition("method=")[2].rstrip(".").split("|")
    assert {"hinton", "soft_hard"} <= set(owners)
    assert "none" not in owners


def test_what_is_not_known_is_passed_on_in_one_line():
    assert explain(ValueError("one\n  two\n"), []) == "one two."
    assert explain(ValueError(), []) == "ValueError."


def test_a_long_word_for_a_short_key_is_understood(composed):
    with pytest.raises(HydraException) as caught:
        composed("Temp=3")
    assert explain(caught.value, ["Temp=3"]).startswith("There is no key Temp (did you mean 'T'?)")
