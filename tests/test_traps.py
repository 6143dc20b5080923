"""Traps that other suites of this field fell into, and the tests that fail where one is built here again."""

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent

TRAPS = {
    "the seed was set after the model was built": [
        "bench/running/test_cell.py::test_the_seed_decides_the_weights_that_a_model_is_born_with",
    ],
    "unknown configuration keys were dropped in silence": [
        "bench/planning/test_settings.py::test_wrong_settings_are_refused_by_key_value_and_rule",
        "bench/planning/test_plan.py::test_unknown_keys_of_presets_and_suites_are_refused",
        "datasets/test_suites.py::test_impossible_values",
    ],
    "hidden states went into the loss as if they were logits": [
        "architectures/test_shapes.py::test_every_tensor_has_its_shape_and_type",
        "architectures/test_oracles.py::test_lstm_is_torch_lstm",
    ],
    "training and test problems were shared, commuted pairs too": [
        "datasets/drawing/test_evaluation.py::test_no_problem_is_in_two_splits",
        "datasets/test_split.py::test_variants_of_a_problem_fall_together",
        "datasets/drawing/test_stream.py::test_training_problems_only",
        "bench/verifying/test_verify.py::test_a_planted_unfairness_is_caught_by_name",
    ],
    "the data seed was ignored": [
        "datasets/drawing/test_stream.py::test_seeds_differ",
    ],
    "steps per second contained evaluation": [
        "bench/running/test_cell.py::test_training_time_and_rates_leave_validation_out",
    ],
    "a promised memory column had no code behind it": [
        "bench/running/test_cell.py::test_every_figure_that_is_promised_is_measured",
        "bench/test_machine.py::test_the_peak_counts_from_where_it_was_forgotten",
    ],
    "'at most 10 % more parameters' was not checked": [
        "bench/planning/test_sizing.py::test_sizes_are_met_within_two_percent",
        "results/statistics/test_comparable.py::test_parameters_that_are_not_equal_are_not_called_so",
        "bench/verifying/test_verify.py::test_a_planted_unfairness_is_caught_by_name",
    ],
    "a shared wrapper re-initialised every linear layer": [
        "bench/running/test_cell.py::test_the_seed_decides_the_weights_that_a_model_is_born_with",
        "architectures/test_oracles.py::test_transformer_is_born_as_gpt2",
    ],
    "one line break in the test prompt moved a baseline by nine points": [
        "bench/running/test_cell.py::test_a_problem_is_written_in_training_as_in_evaluation",
    ],
    "a maximum over seeds was published as the result": [
        "results/report/test_tables.py::test_every_share_equals_the_one_counted_from_the_predictions",
        "results/statistics/test_statistics.py::test_the_interval_across_seeds_equals_one_worked_by_hand",
    ],
    "a test set of long numbers held hardly any": [
        "datasets/drawing/test_evaluation.py::test_problems_are_of_the_stratum_that_is_named",
        "datasets/drawing/test_evaluation.py::test_at_most_per_stratum",
        "datasets/drawing/test_sampling.py::test_strata_hold_the_problems_they_name",
    ],
    "averages hid a length at which nothing was right": [
        "results/records/test_slices.py::test_every_row_equals_a_count_by_hand",
        "results/report/test_tables.py::test_every_share_equals_the_one_counted_from_the_predictions",
        "datasets/drawing/test_evaluation.py::test_patterns_beyond_the_trained_ones_are_in_the_test_set_alone",
    ],
    "batched and single answers differed for recurrent models": [
        "architectures/test_contract.py::test_batch_mates_are_invisible",
        "architectures/test_contract.py::test_left_padding_is_invisible",
    ],
    "a checkpoint restored all but the place in the data": [
        "bench/running/test_resume.py::test_a_cell_that_was_stopped_goes_on_bit_for_bit",
    ],
    "the FLOP counter returned 0 for recurrent cells and fused attention": [
        "bench/planning/test_sizing.py::test_counted_flops_equal_closed_forms",
        "bench/planning/test_sizing.py::test_the_count_on_cpu_would_miss_the_recurrent_cell",
    ],
    "an interval was nan where all seeds were equal": [
        "results/statistics/test_statistics.py::test_where_there_is_no_interval_it_is_said",
        "results/statistics/test_statistics.py::test_interquartile_mean_of_equal_seeds_has_no_interval",
    ],
}
"""What went wrong elsewhere -> tests, by file and name. Each trap was built here once to see them fail."""


@pytest.mark.parametrize("name", sorted({name for names in TRAPS.values() for name in names}))
def test_the_tests_named_here_exist(name: str) -> None:
    file, _, function = name.partition("::")
    tree = ast.parse((TESTS / file).read_text())
    assert function in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
