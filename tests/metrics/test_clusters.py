"""Clusters against a search of the graph of people by hand, and what each rule makes of small test sets."""

import numpy as np
import pandas as pd
import pytest

from fretal_bench.metrics.clusters import find_clusters


def samples(videos, frames=2, domain="a"):
    """A table of ``frames`` rows a video, given as (video, people)."""
    rows = [(video, people) for video, people in videos for _ in range(frames)]
    return pd.DataFrame(
        {
            "domain": domain,
            "row": np.arange(len(rows)),
            "video": [video for video, _ in rows],
            "people": [people for _, people in rows],
        }
    )


def components(groups):
    """Connected components by merging sets until nothing changes."""
    parts = [set(group) for group in groups]
    merged = True
    while merged:
        merged = False
        for one in parts:
            for other in parts:
                if one is not other and one & other:
                    one |= other
                    parts.remove(other)
                    merged = True
                    break
            if merged:
                break
    return parts


def same_cluster(clusters, first, second):
    return clusters.of_video[first] == clusters.of_video[second]


def test_people_joined_by_fakes_are_the_components_of_their_graph():
    generator = np.random.default_rng(3)
    people = [f"s/{number:02d}" for number in range(40)]
    pairs = [tuple(generator.choice(people, 2, replace=False)) for _ in range(14)]
    groups = [(person,) for person in people] + pairs
    videos = [(f"v{place}", "+".join(group)) for place, group in enumerate(groups)]
    found = find_clusters([samples(videos)])
    expected = components(groups)
    assert (found.unit, found.people, found.note) == ("people joined by fakes", 40, "")
    assert found.count == len(expected)
    for place, group in enumerate(groups):
        others = next(part for part in expected if group[0] in part)
        for other, of_other in enumerate(groups):
            assert same_cluster(found, f"v{place}", f"v{other}") == (of_other[0] in others)


def test_a_real_of_a_person_is_in_the_cluster_of_their_fakes_in_every_domain():
    real, fake = ("r/1", "s/1"), ("f/1_2", "s/1+s/2")
    tables = [samples([real, ("r/3", "s/3"), ("r/4", "s/4")]), samples([fake, real], domain="b")]
    found = find_clusters(tables)
    assert same_cluster(found, "r/1", "f/1_2")
    assert not same_cluster(found, "r/1", "r/3")
    assert found.of(pd.Series(["f/1_2", "r/1", "r/4"])).tolist() == [0, 0, 2]


def test_without_identities_every_video_is_a_cluster():
    found = find_clusters([samples([("b", ""), ("a", ""), ("c", "")]).drop(columns="people")])
    assert (found.unit, found.count, found.people) == ("videos", 3, 0)
    assert found.of_video == {"a": 0, "b": 1, "c": 2}


def test_people_of_whom_no_two_share_a_video_are_people():
    found = find_clusters([samples([("a", "s/1"), ("b", "s/1"), ("c", "s/2")])])
    assert (found.unit, found.count, found.people) == ("people", 2, 2)


def test_where_joining_leaves_one_cluster_of_more_than_half_the_filmed_person_is_the_cluster():
    chain = [(f"f{n}", f"s/{n}+s/{n + 1}") for n in range(6)] + [("r9", "s/9"), ("r8", "s/8")]
    found = find_clusters([samples(chain)])
    assert found.unit == "people"
    assert found.people == 9
    assert found.count == 8
    assert "75% of the samples" in found.note
    assert not same_cluster(found, "f0", "f1")


def test_a_cluster_of_exactly_half_stays_joined():
    videos = [("f", "s/1+s/2"), ("r", "s/3")]
    assert find_clusters([samples(videos)]).unit == "people joined by fakes"


def test_a_sample_that_stands_in_several_tables_counts_once():
    pair = samples([("f", "s/1+s/2")], frames=3)
    rest = samples([("r3", "s/3"), ("r4", "s/4")], domain="b")
    # Counted thrice the pair would be 9 of 13 samples.
    assert find_clusters([pair, pair, pair, rest]).unit == "people joined by fakes"


def test_videos_of_nobody_known_among_people_are_clusters_of_their_own():
    found = find_clusters([samples([("a", "s/1"), ("b", ""), ("c", "s/1")])])
    assert (found.unit, found.count, found.people) == ("people, and videos of nobody known", 2, 1)
    assert same_cluster(found, "a", "c")


def test_a_cell_of_an_earlier_version_has_the_people_that_another_cell_names():
    known = samples([("a", "s/1"), ("b", "s/1"), ("c", "s/2")])
    found = find_clusters([known.drop(columns="people"), known])
    assert (found.unit, found.count) == ("people", 2)


def test_a_video_of_no_test_set_is_refused():
    with pytest.raises(KeyError):
        find_clusters([samples([("a", "")])]).of(pd.Series(["b"]))
