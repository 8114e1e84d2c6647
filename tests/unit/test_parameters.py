"""The parameters cell as typed fields, and what may be given for them."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from nabla.errors import BadInput
from nabla.parameters import check, check_notebook, parse_cli_value, summary


def raw(
    source: str | list[str], *, language: str = "python", tag: str = "parameters", kernel: str = "python3"
) -> str:
    cell = {"cell_type": "code", "metadata": {"tags": [tag]}, "source": source, "outputs": []}
    spec = {"name": kernel, "language": language, "display_name": "x"}
    return json.dumps({"cells": [cell], "metadata": {"kernelspec": spec}, "nbformat": 4, "nbformat_minor": 4})


def read(source: str | list[str], **options: str) -> Any:
    return summary("n.ipynb", check_notebook(raw(source, **options), "n.ipynb"))


def only(source: str) -> Any:
    (parameter,) = read(source).parameters
    return parameter


@pytest.mark.parametrize(
    ("source", "type", "default"),
    [
        ("n = 3", "int", 3),
        ("n = -3", "int", -3),
        ("x = 0.5", "float", 0.5),
        ("x: float = 1", "float", 1),
        ("flag = True", "bool", True),
        ("name = 'a b'", "str", "a b"),
        ("items = [1, 2]", "list", [1, 2]),
        ("pair = (1, 2)", "list", [1, 2]),
        ("items: list[int] = []", "list", []),
        ("items: 'List[int]' = []", "list", []),
        ("table = {'a': 1}", "dict", {"a": 1}),
        ("table: dict[str, int] = {}", "dict", {}),
        ("nothing = None", "none", None),
        ("x: Optional[int] = None", "int", None),
        ("x: int | None = 4", "int", 4),
        ("x: int | float = 4", "float", 4),
        ("x: typing.Union[str, None] = None", "str", None),
        ("x: Any = 4", "any", 4),
        ("x = 4  # type: float", "float", 4),
        ("x: int", "int", None),
    ],
)
def test_a_type_comes_from_the_annotation_or_else_from_the_default(
    source: str, type: str, default: Any
) -> None:
    parameter = only(source)
    assert (parameter.type, parameter.default) == (type, default)


def test_a_default_that_is_computed_is_kept_as_source() -> None:
    parameter = only("path: str = base + '/x'")
    assert (parameter.type, parameter.default, parameter.source) == ("any", None, "base + '/x'")


def test_the_comment_on_the_last_line_of_an_assignment_is_its_help() -> None:
    parameter = only("items = [\n  1,  # one\n  2,\n]  # What to do # twice")
    assert (parameter.help, parameter.default) == ("What to do # twice", [1, 2])


def test_a_hash_in_a_text_is_no_comment() -> None:
    parameter = only("colour = '#ff0000'")
    assert (parameter.default, parameter.help) == ("#ff0000", "")


def test_a_literal_annotation_gives_the_choices() -> None:
    parameter = only('kind: Literal["gini", "entropy"] = "gini"')
    assert (parameter.type, parameter.choices) == ("str", ["gini", "entropy"])


def test_other_statements_and_magics_are_passed_over() -> None:
    found = read("%matplotlib inline\n!ls\nimport os\na, b = 1, 'x'\nfor i in range(3): pass\nc = d = 2\n")
    assert [p.name for p in found.parameters] == ["a", "b", "c", "d"]


def test_a_source_may_be_a_list_of_lines() -> None:
    assert [p.name for p in read(["a = 1\n", "b = 2"]).parameters] == ["a", "b"]


def test_a_cell_that_does_not_parse_is_named_with_its_line() -> None:
    with pytest.raises(BadInput, match=r"cell 1.*n\.ipynb.*line 2, `b = \(`"):
        read("a = 1\nb = (\n")


def test_bash_assignments_are_read() -> None:
    found = read(
        "# settings\nN=3\nexport NAME='a b'  # who\nX=1.5\nON=true\nNOW=$(date)\nV=nan",
        language="bash",
        kernel="bash",
    )
    assert [(p.name, p.type, p.default) for p in found.parameters] == [
        ("N", "int", 3),
        ("NAME", "str", "a b"),
        ("X", "float", 1.5),
        ("ON", "bool", True),
        ("NOW", "any", None),
        ("V", "str", "nan"),
    ]
    assert found.parameters[1].help == "who"


def test_of_other_languages_nothing_is_known_and_all_is_accepted() -> None:
    found = read("n <- 3", language="R", kernel="ir")
    assert found.parameters == []
    assert check(found, {"n": 4}) == {"n": 4}


def test_a_name_that_is_code_is_refused_in_every_language() -> None:
    with pytest.raises(BadInput, match="it is no name"):
        check(read("n <- 3", language="R", kernel="ir"), {"n; system('ls')": 1})


def test_a_summary_says_what_a_form_needs() -> None:
    found = read("n = 3")
    assert (found.path, found.kernel, found.language, found.cells) == ("n.ipynb", "python3", "python", 1)
    assert found.has_parameters_cell


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("x = 0.5", 2),
        ("n: int | None = 1", None),
        ("n = None", "anything"),
        ("x: Any = 1", [1]),
        ("items = []", [1]),
        ('k: Literal["a", "b"] = "a"', "b"),
    ],
)
def test_a_fitting_value_is_accepted(source: str, value: Any) -> None:
    name = only(source).name
    assert check(read(source), {name: value}) == {name: value}


@pytest.mark.parametrize(
    ("source", "value", "said"),
    [
        ("n = 3", "x", r'"n" of n\.ipynb takes a whole number \(int\), not \'x\' \(str\)'),
        ("n = 3", True, "not True"),
        ("n = 3", 1.5, "not 1.5"),
        ("n = 3", None, "not None"),
        ("flag = False", 1, "True or False"),
        ("name = ''", 5, "-r name 5"),
        ("table = {}", [], "a dict"),
        ('k: Literal["gini", "entropy"] = "gini"', "ginny", 'is one of .* Did you mean "gini"'),
    ],
)
def test_a_wrong_type_is_refused_with_the_type_that_is_wanted(source: str, value: Any, said: str) -> None:
    with pytest.raises(BadInput, match=said) as caught:
        check(read(source), {only(source).name: value})
    assert caught.value.field == only(source).name


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(BadInput, match=r'no parameter "n_estimator".*Did you mean "n_estimators"'):
        check(read("n_estimators = 1"), {"n_estimator": 2})


def test_a_notebook_without_a_parameters_cell_takes_none_and_says_how_to_get_one() -> None:
    found = read("n = 1", tag="other")
    assert check(found, {}) == {}
    with pytest.raises(BadInput, match="tag the cell"):
        check(found, {"n": 2})


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("True", True),
        ("False", False),
        ("None", None),
        ("12", 12),
        ("-1.5e3", -1500.0),
        ("true", "true"),
        ("a=b", "a=b"),
        ("", ""),
    ],
)
def test_a_word_of_the_command_line_is_read_as_papermill_reads_it(text: str, value: Any) -> None:
    from papermill.cli import _resolve_type

    assert parse_cli_value(text) == value == _resolve_type(text)
    assert type(parse_cli_value(text)) is type(value)


def test_nan_is_a_float() -> None:
    assert math.isnan(parse_cli_value("nan"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{\n 'a': 1}", "line 2, column 2 is not JSON"),
        ("", "line 1, column 1 is not JSON"),
        ("[" * 100_000, "nested too deep"),
        ("[]", 'no "nbformat"'),
        ('{"cells": []}', 'no "nbformat"'),
        ('{"nbformat": 5, "cells": []}', "format 5, newer than 4"),
        ('{"nbformat": 4}', "damaged"),
        ('{"nbformat": 4, "cells": [{"cell_type": "poem"}]}', "cell 1 is neither"),
        ('{"nbformat": 4, "cells": [{"cell_type": "code", "source": 3}]}', "source of cell 1"),
        ('{"nbformat": 4, "cells": [], "metadata": {}}', "names no kernel"),
    ],
)
def test_what_is_no_notebook_is_refused_in_one_sentence(text: str, said: str) -> None:
    with pytest.raises(BadInput, match=said) as caught:
        check_notebook(text, "folder/n.ipynb")
    assert "folder/n.ipynb" in caught.value.message


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(BadInput, match="byte 0 is not UTF-8"):
        check_notebook(b"\xff\xfe", "n.ipynb")


def test_a_kernel_named_by_the_caller_makes_up_for_one_that_is_missing() -> None:
    assert check_notebook('{"nbformat": 4, "cells": [], "metadata": {}}', "n.ipynb", kernel="python3")


def test_a_notebook_of_format_3_is_upgraded() -> None:
    old = {
        "nbformat": 3,
        "nbformat_minor": 0,
        "metadata": {"name": ""},
        "worksheets": [
            {
                "cells": [
                    {
                        "cell_type": "code",
                        "input": ["x = 1"],
                        "language": "python",
                        "outputs": [],
                        "collapsed": False,
                        "metadata": {},
                    }
                ],
                "metadata": {},
            }
        ],
    }
    notebook = check_notebook(json.dumps(old), "n.ipynb", kernel="python3")
    assert notebook["nbformat"] == 4
    assert notebook["cells"][0]["source"] == "x = 1"
