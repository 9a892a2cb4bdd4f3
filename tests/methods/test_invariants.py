"""What the formulas of the methods imply; the assertions stand in the `check_*.py` files."""

import evidence
import pytest

evidence.collect()

CASES = {
    f"{method}-{assertion.__name__}": assertion
    for method, assertions in evidence.INVARIANTS.items()
    for assertion in assertions
}


@pytest.mark.parametrize("case", CASES)
def test_the_formula_implies(case):
    CASES[case]()
