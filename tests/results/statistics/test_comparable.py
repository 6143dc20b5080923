from collections.abc import Callable

import pytest

from bench.results.records.record import Record
from bench.results.statistics.comparable import NotComparable, check_comparable, held_equal

MakeRecord = Callable[..., Record]


def test_the_same_stream_and_a_prefix_of_it_may_stand_side_by_side(make_record: MakeRecord) -> None:
    whole = make_record()
    prefix = make_record(architecture="gru", examples=1500, data_hash="d9", data_chain=["c1"])
    short = make_record(architecture="rnn", examples=100, data_hash="d8", data_chain=[])
    other_seed = make_record(seed=1, data_hash="e0", data_chain=["e1", "e2"])
    check_comparable([whole, prefix, other_seed, short])
    assert "as far as the shorter stream goes" in held_equal([whole, prefix])
    assert "not proved" not in held_equal([whole, prefix])
    assert "not proved (fewer than 1,024 in common)" in held_equal([whole, short])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"test_hash": "0" * 64}, "gru seed 0 were tested on different problems"),
        ({"data_hash": "d1"}, "gru seed 0 were trained on different problems"),
        ({"data_chain": ["c1", "x2"], "examples": 4000}, "trained on different problems"),
        ({"data_chain": ["x1"], "examples": 1500}, "trained on different problems"),
        ({"data_chain": ["c1", "x2", "x3"], "examples": 4000}, "trained on different problems"),
        ({"suite_version": 2}, "different suites or versions"),
    ],
)
def test_other_data_are_refused(make_record: MakeRecord, changes: dict[str, object], message: str) -> None:
    with pytest.raises(NotComparable, match=message):
        check_comparable([make_record(), make_record(architecture="gru", **changes)])


def test_another_test_set_is_refused_across_seeds_too(make_record: MakeRecord) -> None:
    with pytest.raises(NotComparable, match="tested on different"):
        check_comparable([make_record(), make_record(seed=1, test_hash="0" * 64)])


def test_what_was_held_equal_and_what_not(make_record: MakeRecord) -> None:
    line = held_equal([make_record(), make_record(architecture="gru", parameters=10_150, train_seconds=5.0)])
    assert line == (
        "Held equal: the budget was examples=3000 (met within 0.00 %); parameters differ by 1.5 % at most; the "
        "training problems of a seed were the same in the same order; the test problems were "
        "the same. Not equal: training seconds differ by a factor of up to 2.00."
    )


def test_flops_are_those_of_model_and_optimizer_and_runs_without_the_latter_are_named(make_record: MakeRecord) -> None:
    lstm, gru = make_record(optimizer_flops=10**9), make_record(architecture="gru", optimizer_flops=5 * 10**9)
    assert "FLOPs differ by a factor of up to 2.00" in held_equal([lstm, gru])
    of_before = make_record(architecture="rnn", optimizer_flops=None)
    assert "the FLOPs of rnn are without those of the optimizer" in held_equal([lstm, gru, of_before])
    assert "optimizer" not in held_equal([lstm, gru]) + held_equal([of_before])


def test_a_model_that_was_not_trained_hides_no_difference_of_the_others(make_record: MakeRecord) -> None:
    records = [make_record(), make_record(architecture="gru", train_seconds=5.0)]
    records.append(make_record(architecture="pretrained", budget="examples=0", examples=0, flops=0, train_seconds=0.0))
    assert "training seconds differ by a factor of up to 2.00" in held_equal(records)


def test_training_problems_are_called_equal_only_where_seeds_are_shared(make_record: MakeRecord) -> None:
    lstm, gru, rnn = (make_record(architecture=name, seed=seed) for name, seed in (("lstm", 0), ("gru", 1), ("rnn", 1)))
    unpaired = "lstm and gru share no seed, so that their training problems differ"
    line = held_equal([lstm, gru])
    assert "the training problems of a seed were the same" not in line
    assert unpaired in line.partition("Not equal: ")[2]
    line = held_equal([lstm, gru, rnn])
    assert "the training problems of a seed were the same" in line.partition("Not equal: ")[0]
    assert unpaired in line.partition("Not equal: ")[2]


def test_a_device_that_gives_other_bits_each_time_is_named(make_record: MakeRecord) -> None:
    on_gpu = make_record(device="cuda", machine={"deterministic": False})
    assert held_equal([on_gpu]).endswith("Cells on cuda may end otherwise when run again.")
    assert "otherwise" not in held_equal([make_record(machine={"deterministic": True})])


def test_parameters_that_are_not_equal_are_not_called_so(make_record: MakeRecord) -> None:
    # The trap that SCIENCE names: 52 k against 248 k.
    line = held_equal([make_record(parameters=52_000), make_record(architecture="gru", parameters=248_000)])
    assert "parameters" not in line.split("Not equal")[0]
    assert "parameters range from 52,000 to 248,000" in line
    line = held_equal([make_record(), make_record(architecture="big", parameters=9 * 10**6, match="unequal")])
    assert "parameters differ by 0.0 % at most" in line
    assert "Not equal: the parameters of big were not fitted" in line
    sparse = {"match": "active", "parameters": 40_000}
    assert "active parameters differ by 0.0 % at most" in held_equal(
        [make_record(), make_record(architecture="moe", **sparse)]
    )
