import pytest

from bench.errors import UserError
from bench.planning.amounts import Budget, parse_budget, parse_count, parse_names, parse_seeds, short_count, short_time


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *[("5000", 5000), ("300k", 300_000), ("1.5M", 1_500_000), ("2G", 2 * 10**9), ("1T", 10**12)],
        *[("9e18", 9 * 10**18), ("2e18", 2 * 10**18)],
        *[("300_000", 300_000), ("1e11", 10**11), ("1.5e3", 1500), ("1E+5", 100_000), ("1e3k", 10**6)],
    ],
)
def test_counts_are_read_as_people_write_them(text: str, value: int) -> None:
    assert parse_count(text, "--n") == value


def test_decimal_counts_are_exact() -> None:
    """16.1 * 1000 is no whole number in floats."""
    for thousandths in range(1000, 20_000, 7):
        assert parse_count(f"{thousandths / 1000:.3f}k", "--n") == thousandths


def test_a_long_wrong_count_is_refused_at_once() -> None:
    with pytest.raises(UserError):
        parse_count("1" * 60 + "x", "--n")


@pytest.mark.parametrize(
    "text",
    ["", "0", "-3", "1.5", "3.0001k", "k", "1e-5", "1e19", "1e", "5s", "5min", "nan", "inf", "1 000", "9" * 30, "٣"],
)
def test_what_is_no_positive_whole_number_is_refused_by_value(text: str) -> None:
    with pytest.raises(UserError, match="expected a whole number from 1 on") as error:
        parse_count(text, "--n")
    assert f"'{text}'" in str(error.value)


def test_the_largest_count_is_named() -> None:
    with pytest.raises(UserError, match=r"^--budget flops '1e19': expected a whole number .* and at most 9\.2e\+18$"):
        parse_budget("flops=1e19")


def test_budgets_name_their_unit() -> None:
    assert parse_budget("tokens=2M") == Budget("tokens", 2_000_000)
    assert str(parse_budget("examples=300k")) == "examples=300000"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("90s", 90),
        ("10min", 600),
        ("1.5h", 5400),
        ("2d", 172_800),
        ("1_000", 1000),
        ("1e3", 1000),
        ("2k", 2000),
    ],
)
def test_seconds_take_units_of_time(text: str, seconds: int) -> None:
    assert parse_budget(f"seconds={text}") == Budget("seconds", seconds)


@pytest.mark.parametrize(("text", "names"), [("10m", "10min or 10000000"), ("1.5M", "1.5min or 1500000")])
def test_an_m_of_seconds_is_refused_with_both_of_its_meanings(text: str, names: str) -> None:
    with pytest.raises(UserError, match=f"--budget seconds '{text}': minutes or millions. Write {names}"):
        parse_budget(f"seconds={text}")


@pytest.mark.parametrize("text", ["0s", "0.5s", "3w", "5 minutes", "-1h", ""])
def test_what_is_no_time_is_refused_by_value(text: str) -> None:
    with pytest.raises(UserError, match=f"--budget seconds '{text}': expected whole seconds from 1 on"):
        parse_budget(f"seconds={text}")


def test_a_budget_buys_examples_by_what_each_takes() -> None:
    """A batch of 32 at 10 FLOPs and 5 symbols an example, and 320 for the optimizer: 20 FLOPs an example."""
    expected = {"examples": 1000, "steps": 32_000, "flops": 50, "tokens": 200, "seconds": None}
    assert {unit: parse_budget(f"{unit}=1000").examples(32, 10, 320, 5) for unit in expected} == expected
    assert Budget("tokens", 1000).examples(32, 10, 320) is None


def test_times_read_well() -> None:
    assert [short_time(x) for x in (45, 119, 600, 20_000, 665_852)] == ["45 s", "119 s", "10 min", "6 h", "8 days"]


@pytest.mark.parametrize("text", ["300k", "epochs=3", "examples", "examples=", "steps=0", "seconds=-5", "=5"])
def test_impossible_budgets_are_refused(text: str) -> None:
    with pytest.raises(UserError, match="--budget"):
        parse_budget(text)


@pytest.mark.parametrize(
    ("text", "seeds"), [("3", (0, 1, 2)), ("1", (0,)), ("4,", (4,)), ("0,", (0,)), ("0,4,7", (0, 4, 7))]
)
def test_a_comma_makes_a_list_of_seeds(text: str, seeds: tuple[int, ...]) -> None:
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize("text", ["0", "", ",", "-1", "-1,", "1,1", "a", "1.5", "1,b", str(2**31) + ","])
def test_no_seeds_negative_ones_and_twins_are_refused(text: str) -> None:
    with pytest.raises(UserError, match="--seeds"):
        parse_seeds(text)


def test_too_many_seeds_are_refused_by_that_rule() -> None:
    with pytest.raises(UserError, match="at most 10,000 seeds"):
        parse_seeds("20000")


def test_names_are_a_list_without_twins() -> None:
    assert parse_names("lstm, transformer", "--arch") == ("lstm", "transformer")
    for text in ("", ",", "lstm,lstm"):
        with pytest.raises(UserError, match="--arch"):
            parse_names(text, "--arch")


def test_short_counts_read_well() -> None:
    assert [short_count(x) for x in (7, 300_000, 100_276, 2.7e12)] == ["7", "300k", "100.3k", "2.7T"]
