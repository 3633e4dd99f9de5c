import pytest
import torch

from worldtokens.tokenizer.quantizers import clustering
from worldtokens.tokenizer.quantizers.clustering import (
    count_distinct,
    distinct_rows,
    first_of_each,
    first_rows,
    k_means,
    nearest_center,
)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_k_means_weighs_and_redraws():
    vectors = torch.tensor([[0.0], [1.0], [10.0], [13.0]])
    centers = k_means(vectors, torch.tensor([3.0, 1.0, 1.0, 2.0]), 2, generator(1))
    assert sorted(centers.flatten().tolist()) == pytest.approx([0.25, 12.0])
    more = k_means(vectors, torch.ones(4), 6, generator(1))
    assert set(more.flatten().tolist()) == {0.0, 1.0, 10.0, 13.0}


def test_candidates_cluster_about_as_well_as_all_centers(monkeypatch):
    vectors = torch.randn(3000, 6, generator=generator())
    weights = torch.rand(3000, generator=generator(1))

    def error(candidates):
        monkeypatch.setattr(clustering, "CANDIDATES", candidates)
        centers = k_means(vectors, weights, 300, generator(2))
        off = (vectors - centers[nearest_center(vectors, centers)]).square().sum(1)
        return float((off * weights).sum())

    every = error(300)
    assert every < error(16) < 1.02 * every
    assert error(1) > 1.02 * every, "which vectors belong together is not found at once"


def test_a_center_that_was_drawn_again_gets_vectors(monkeypatch):
    # Three of the four first centers are equal, so that two are empty after the first iteration.
    vectors = torch.tensor([[0.0], [0.0], [0.0], [50.0], [51.0], [90.0]])
    monkeypatch.setattr(clustering, "CANDIDATES", 2)
    found = set()
    for seed in range(6):
        centers = k_means(vectors, torch.ones(6), 3, generator(seed))
        found.add(tuple(sorted(centers.flatten().tolist())))
    assert (0.0, 50.5, 90.0) in found


def test_nearest_centers_come_in_order():
    centers = torch.tensor([[0.0], [10.0], [4.0], [-3.0]])
    vectors = torch.tensor([[3.0], [-2.0]])
    assert clustering.nearest_centers(vectors, centers, 3).tolist() == [[2, 0, 3], [3, 0, 2]]
    candidates = torch.tensor([[0, 1], [1, 2]])
    assert clustering.nearest_candidate(vectors, centers, candidates).tolist() == [0, 2]


def test_nearest_center_of_ties_is_the_first():
    assert nearest_center(torch.tensor([[1.0]]), torch.tensor([[0.0], [2.0], [1.9]])).tolist() == [
        2
    ]
    assert nearest_center(torch.tensor([[1.0]]), torch.tensor([[0.0], [2.0]])).tolist() == [0]


def test_count_distinct_counts_over_chunks():
    rows = torch.tensor([[1, 2, 3], [4, 5, 6], [1, 2, 3], [-1, -2, 127]], dtype=torch.int8)
    distinct, counts = count_distinct([rows[:2], rows[2:], rows[:1]])
    counted = {
        tuple(row): count for row, count in zip(distinct.tolist(), counts.tolist(), strict=True)
    }
    assert counted == {(1, 2, 3): 3, (4, 5, 6): 1, (-1, -2, 127): 1}


def test_hashes_tell_rows_apart_that_differ_in_any_byte():
    rows = torch.zeros(192 * 255, 192, dtype=torch.uint8)
    rows[torch.arange(len(rows)), torch.arange(len(rows)) % 192] = (
        torch.arange(len(rows)) // 192 + 1
    ).to(torch.uint8)
    distinct, _ = count_distinct([rows.view(torch.int8)])
    assert len(distinct) == len(rows)


def test_first_of_each_names_the_first_row_of_every_group():
    rows = torch.tensor([[5, 5], [1, 2], [5, 5], [1, 2]], dtype=torch.int8)
    distinct, group = first_of_each(rows)
    assert sorted(distinct.tolist()) == [0, 1]
    assert torch.equal(rows[distinct][group], rows)


def test_first_rows_takes_all_of_a_small_sample():
    chunks = [torch.zeros(2, 3, 1), torch.ones(1, 3, 1)]
    assert [chunk.shape[0] for chunk in first_rows(iter(chunks))] == [2, 1]


def test_distinct_rows_are_counted_over_chunks(monkeypatch):
    chunks = [
        torch.tensor([[1.0, 0.0], [0.5, 0.0], [1.0, 0.001]]),
        torch.tensor([[0.5, 0.0], [0.0, 0.0]]),
    ]
    rows, counts = distinct_rows(chunks)
    found = {tuple(row): count for row, count in zip(rows.tolist(), counts.tolist(), strict=True)}
    assert found == {(1.0, 0.0): 2.0, (0.5, 0.0): 2.0, (0.0, 0.0): 1.0}
    monkeypatch.setattr(clustering, "LARGEST_SAMPLE", 2)
    rows, counts = distinct_rows(iter(chunks))
    assert len(rows) == len(counts) == 2 and float(counts.sum()) == 3.0
