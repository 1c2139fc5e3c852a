"""Finding a sample id that occurs twice."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from moodlemlbackend.dataset.sample_ids import SampleIds


@given(st.lists(st.lists(st.integers(0, 60).map(str), min_size=1, max_size=12), max_size=12))
def test_the_first_repetition_is_found(batches):
    """Batch by batch, as a dictionary of all ids would find it."""
    seen, row_of_id, row = SampleIds(), {}, 4
    for batch in batches:
        expected = None
        for number, sample_id in enumerate(batch, row):
            if sample_id in row_of_id and expected is None:
                expected = row_of_id[sample_id], number
            row_of_id.setdefault(sample_id, number)
        assert seen.add(batch, row) == expected
        if expected is not None:
            return
        row += len(batch)


def test_memory_is_16_bytes_a_row(monkeypatch):
    monkeypatch.setattr("moodlemlbackend.dataset.sample_ids.LARGEST_MERGED", 30_000)
    seen = SampleIds()
    for start in range(0, 100_000, 1000):
        assert seen.add([f"{number}-0" for number in range(start, start + 1000)], start) is None
    assert sum(hashes.nbytes + rows.nbytes for hashes, rows in seen._runs) == 16 * 100_000
    assert len(seen._runs) < 10
    assert max(len(hashes) for hashes, _ in seen._runs) <= 60_000
    assert seen.add(["new", "99999-0"], 100_000) == (99_999, 100_001)
