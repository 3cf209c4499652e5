import gc

from braintumor.dashboard.patients.room import Room


def values(kept):
    return [one.value for one in kept]


def test_what_was_used_longest_ago_is_let_go_and_the_newest_never():
    room = Room(10)
    first, second = room.keep("a", 4), room.keep("b", 4)
    room.used(first)
    third = room.keep("c", 4)
    assert values([first, second, third]) == ["a", None, "c"]
    assert second.is_gone
    large = room.keep("d", 99)
    assert values([first, third, large]) == [None, None, "d"]
    assert not large.is_gone
    assert room.used(second).is_gone


def test_what_no_session_refers_to_leaves_room():
    room = Room(10)
    first, second = room.keep("a", 4), room.keep("b", 6)
    del second
    gc.collect()
    third = room.keep("c", 6)
    assert values([first, third]) == ["a", "c"]
