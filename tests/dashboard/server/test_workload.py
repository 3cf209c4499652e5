import threading

import pytest

from braintumor.dashboard.server.workload import Workload


def never_waits(ahead):
    raise AssertionError(f"{ahead} scans ahead")


class Scan(threading.Thread):
    """Takes a turn and keeps its place until told to finish; ``ahead`` has the places that it was told."""

    def __init__(self, workload, size=1, *, is_guest=False):
        super().__init__(daemon=True)
        self.workload, self.size, self.is_guest, self.ahead = workload, size, is_guest, []
        self.told, self.works, self.may_finish = threading.Event(), threading.Event(), threading.Event()

    def run(self):
        with self.workload.turn(self.size, self._wait, is_guest=self.is_guest):
            self.works.set()
            self.may_finish.wait(10)

    def _wait(self, ahead):
        self.ahead.append(ahead)
        self.told.set()

    def begin(self):
        self.start()
        assert self.works.wait(10)
        return self

    def queue(self):
        self.start()
        assert self.told.wait(10)
        return self

    def finish(self):
        self.may_finish.set()
        self.join(10)


@pytest.mark.parametrize(
    ("scans_at_once", "bytes_at_once", "sizes", "fits"),
    [
        (1, 100, [1], False),
        (2, 100, [1], True),
        (2, 100, [1, 1], False),
        (9, 100, [60], False),
        (9, 100, [40], True),
        (9, 100, [], True),
        (9, 50, [], True),
        (9, 50, [1], False),
    ],
)
def test_so_many_scans_and_so_many_bytes_at_once(scans_at_once, bytes_at_once, sizes, fits):
    workload = Workload(scans_at_once, bytes_at_once)
    at_work = [Scan(workload, size).begin() for size in sizes]
    next_one = Scan(workload, 60)
    if fits:
        next_one.begin()
        assert next_one.ahead == []
    else:
        next_one.queue()
        assert next_one.ahead[0] == len(sizes)
        assert not next_one.works.is_set()
    for scan in [*at_work, next_one]:
        scan.finish()
    assert next_one.works.is_set()


def test_first_come_first_served_and_everybody_is_told_the_place():
    workload = Workload(1, 100)
    first = Scan(workload).begin()
    second, third = Scan(workload).queue(), Scan(workload).queue()
    assert (second.ahead[0], third.ahead[0]) == (1, 2)
    first.finish()
    assert second.works.wait(10)
    assert not third.works.is_set()
    second.finish()
    third.finish()
    assert third.works.is_set()


def test_who_leaves_the_queue_or_fails_at_work_gives_the_place_up():
    workload = Workload(1, 100)

    def leave(ahead):
        raise InterruptedError

    first = Scan(workload).begin()
    with pytest.raises(InterruptedError), workload.turn(1, leave):
        pass
    first.finish()
    with pytest.raises(ValueError, match="broken"), workload.turn(1, never_waits):
        raise ValueError("broken")
    with workload.turn(1, never_waits):
        pass


@pytest.mark.parametrize(
    ("scans_at_once", "sizes", "fits"),
    [
        (1, [], True),
        (2, [1], False),
        (3, [1], False),
        (4, [1], True),
        (4, [1, 1], False),
        (9, [20, 20], True),
        (9, [45], False),
        # One is let in however large it is.
        (9, [], True),
    ],
)
def test_guests_have_half_of_the_places_and_bytes(scans_at_once, sizes, fits):
    workload = Workload(scans_at_once, 100)
    guests = [Scan(workload, size, is_guest=True).begin() for size in sizes]
    another = Scan(workload, 10 if sizes else 90, is_guest=True)
    if fits:
        another.begin()
    else:
        another.queue()
        assert not another.works.is_set()
    for scan in [*guests, another]:
        scan.finish()
    assert another.works.is_set()


def test_who_has_an_account_passes_by_guests_that_cannot_start():
    workload = Workload(2, 100)
    guest, waiting = Scan(workload, is_guest=True).begin(), Scan(workload, is_guest=True).queue()
    user = Scan(workload).begin()
    assert user.ahead == []
    assert not waiting.works.is_set()
    guest.finish()
    assert waiting.works.wait(10)
    later = Scan(workload).queue()
    user.finish()
    assert later.works.wait(10)
    for scan in (waiting, later):
        scan.finish()


def test_a_guest_who_could_start_is_not_passed_by():
    workload = Workload(1, 100)
    first = Scan(workload).begin()
    guest, user = Scan(workload, is_guest=True).queue(), Scan(workload).queue()
    first.finish()
    guest.finish()
    user.finish()
    assert guest.works.is_set()


def test_a_guest_who_waits_for_room_is_not_passed_by_for_ever():
    workload = Workload(9, 100)
    first = Scan(workload, 60).begin()
    guest, user = Scan(workload, 60, is_guest=True).queue(), Scan(workload, 30).queue()
    first.finish()
    assert guest.works.wait(10)
    assert user.works.wait(10)
    for scan in (guest, user):
        scan.finish()
