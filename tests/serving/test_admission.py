"""Load shedding: never when idle, always at the cap, and by the promised latency between."""

from __future__ import annotations

import math

from geartrain.serving.admission import Admission, AdmissionLimits


def test_a_slow_but_idle_server_sheds_nothing():
    """One request at a time is always taken, however long each takes."""
    admission = Admission()
    for second in range(100):
        assert admission.enter(second, promised_s=0.001) is None
        admission.leave(second + 0.9)
    assert admission.in_flight == 0


def test_the_cap_holds():
    """No more than the cap are in the server, and the refused are told when to come back."""
    admission = Admission(AdmissionLimits(most_in_flight=3))
    answers = [admission.enter(0.0, promised_s=None) for _ in range(4)]

    assert answers == [None, None, None, 1]
    assert admission.in_flight == 3


def test_a_queue_that_breaks_the_promise_is_shed():
    """At 100 answers a second and a 50 ms promise, the 21st waiting request is refused, and later ones taken again."""
    limits = AdmissionLimits(always=2, patience=4.0)
    admission = Admission(limits)
    now = 0.0
    for _ in range(400):
        admission.enter(now, promised_s=0.05)
        now += 0.01
        admission.leave(now)
    taken = 0
    while admission.enter(now, promised_s=0.05) is None:
        taken += 1

    assert taken == 21
    admission.leave(now + 0.01)
    assert admission.enter(now + 0.01, promised_s=0.05) is None


def test_a_turn_comes_in_time_or_not_at_all_but_only_in_a_crowd():
    """Four promises after its arrival a request's turn is over; without a promise never; alone it does not matter."""
    admission = Admission(AdmissionLimits(always=2, patience=4.0))

    assert admission.last_turn_s(10.0, promised_s=0.05) == 10.2
    assert admission.last_turn_s(10.0, promised_s=None) == math.inf
    crowded = []
    for _ in range(3):
        crowded.append(admission.is_crowded)
        admission.enter(0.0, promised_s=None)
    assert crowded == [False, False, True]
