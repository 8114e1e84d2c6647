"""What admission promises: never too much, everything in its turn, and a sentence for who waits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from nabla import instances
from nabla.admission import Admission, Grant
from nabla.errors import BadInput
from nabla.machine import Gpu, Machine
from nabla.schema import Instance, QueuePlace

GIB = 1024**3
GPUS = tuple(
    Gpu(id=f"GPU-{n}", name=name, memory=80 * GIB, minor=n) for n, name in enumerate(["A100", "H200", "H200"])
)
MACHINE = Machine(cpus=4, memory=8 * GIB, gpus=GPUS)
ONE = Instance(name="cpu-1", cpus=1, memory=2 * GIB)
TWO = Instance(name="cpu-2", cpus=2, memory=4 * GIB)
ALL = Instance(name="cpu-4", cpus=4, memory=8 * GIB)
H200 = Instance(name="h200-1", cpus=1, memory=GIB, gpus=1, gpu_type="H200")
SHAPES = [ONE, TWO, ALL, H200, Instance(name="any-gpu", cpus=0.5, memory=GIB, gpus=1)]


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def admission(told: list[str]) -> Admission:
    return Admission(MACHINE, SHAPES, told.append)


def ask(admission: Admission, id: str, instance: Instance = ONE, team: str = "t1", **more: int) -> object:
    return admission.request(id, instance, team=team, name=f"{id} #1", **more)


def waiting(admission: Admission) -> list[str]:
    return [entry.id for entry in admission.queue()]


def granted(admission: Admission) -> list[str]:
    return [grant.id for grant in admission.grants()]


def test_what_fits_is_granted_at_once_and_asking_again_changes_nothing(admission: Admission) -> None:
    first = ask(admission, "a")
    assert isinstance(first, Grant)
    assert ask(admission, "a") == first
    assert admission.free().cpus == 3


def test_what_does_not_fit_waits_with_its_place_and_what_it_waits_for(admission: Admission) -> None:
    ask(admission, "train", TWO)
    ask(admission, "eval", TWO)
    first, second = ask(admission, "a"), ask(admission, "b", TWO)
    assert first == QueuePlace(
        place=1, length=1, waiting_for="4 of 4 cores are in use by train #1 and eval #1."
    )
    assert second == QueuePlace(
        place=2, length=2, waiting_for="4 of 4 cores are in use by train #1 and eval #1; 1 before it."
    )
    assert ask(admission, "b", TWO) == second


def test_other_teams_things_are_counted_but_never_named(admission: Admission) -> None:
    ask(admission, "secret", TWO, team="t2")
    ask(admission, "mine", ONE)
    ask(admission, "hidden", ONE, team="t3")
    place = ask(admission, "a")
    assert place.waiting_for == "4 of 4 cores are in use by mine #1 and 2 of other teams' runs."
    admission.release("hidden")
    admission.release("a")
    place = ask(admission, "b", TWO)
    assert place.waiting_for == "3 of 4 cores are in use by mine #1 and another team's run."


def test_memory_and_gpus_are_named_when_they_are_what_is_missing(admission: Admission) -> None:
    ask(admission, "big", Instance(name="fat", cpus=1, memory=7 * GIB))
    assert ask(admission, "a").waiting_for == "7.0 of 8.0 GiB of memory are in use by big #1."
    admission.release("big")
    admission.release("a")
    ask(admission, "g1", H200)
    ask(admission, "g2", H200)
    assert ask(admission, "g3", H200).waiting_for == "2 of 2 H200 GPUs are in use by g1 #1 and g2 #1."


def test_a_release_grants_the_next_and_tells_it(admission: Admission, told: list[str]) -> None:
    for id in "abcd":
        ask(admission, id)
    ask(admission, "e")
    ask(admission, "f")
    assert told == []
    admission.release("b")
    assert told == ["e"]
    assert isinstance(ask(admission, "e"), Grant)
    admission.release("f")
    admission.release("nobody")
    assert waiting(admission) == []
    assert told == ["e"]


def test_small_ones_never_keep_a_big_one_waiting(admission: Admission) -> None:
    for id in "abcd":
        ask(admission, id)
    ask(admission, "big", ALL)
    for n in range(20):
        ask(admission, f"small{n}", team=f"t{n}")
    for id in "abcd":
        assert "big" not in granted(admission)
        admission.release(id)
    assert granted(admission) == ["big"]


def test_one_that_takes_nothing_the_first_needs_may_pass(admission: Admission) -> None:
    ask(admission, "g1", H200)
    ask(admission, "g2", H200)
    ask(admission, "g3", H200)
    assert isinstance(ask(admission, "cpu"), Grant)
    place = ask(admission, "cpu2")
    assert place.waiting_for == "What is free is kept for what came first; 1 before it."
    admission.release("g1")
    assert isinstance(ask(admission, "g3", H200), Grant)


def test_teams_take_turns_however_many_one_of_them_asks_for(admission: Admission) -> None:
    ask(admission, "running", ALL)
    for n in range(5):
        ask(admission, f"a{n}", team="a")
    for n in range(2):
        ask(admission, f"b{n}", team="b")
    ask(admission, "c0", team="c")
    assert waiting(admission) == ["a0", "b0", "c0", "a1", "b1", "a2", "a3", "a4"]


def test_a_higher_priority_goes_first(admission: Admission) -> None:
    ask(admission, "running", ALL)
    ask(admission, "a")
    ask(admission, "b")
    ask(admission, "urgent", priority=1)
    assert waiting(admission) == ["urgent", "a", "b"]


def test_the_first_in_the_queue_is_never_passed_by_what_comes_later(admission: Admission) -> None:
    ask(admission, "running", ALL)
    for n in range(3):
        ask(admission, f"a{n}", ALL, team="a")
    admission.release("running")
    assert waiting(admission) == ["a1", "a2"]
    ask(admission, "b0", team="b")
    assert waiting(admission) == ["a1", "b0", "a2"]


def test_a_gpu_is_given_to_one_at_a_time_and_of_the_type_asked_for(admission: Admission) -> None:
    first, second = ask(admission, "g1", H200), ask(admission, "g2", H200)
    assert (first.gpus, second.gpus) == (("GPU-1",), ("GPU-2",))
    admission.release("g1")
    assert ask(admission, "g3", H200).gpus == ("GPU-1",)


def test_a_gpu_given_to_who_takes_any_is_missing_from_its_kind(admission: Admission) -> None:
    first, second = ask(admission, "a1", SHAPES[-1]), ask(admission, "a2", SHAPES[-1])
    assert (first.gpus, second.gpus) == (("GPU-0",), ("GPU-1",))
    assert ask(admission, "g1", H200).gpus == ("GPU-2",)
    admission.release("a1")
    assert ask(admission, "g2", H200).waiting_for == "2 of 2 H200 GPUs are in use by a2 #1 and g1 #1."


def test_an_instance_larger_than_the_machine_is_refused_when_asked_for(admission: Admission) -> None:
    with pytest.raises(
        BadInput, match=r'"huge" is larger than this machine, which has 4 cores, 8.0 GiB of memory, 3 GPUs'
    ):
        ask(admission, "a", Instance(name="huge", cpus=8, memory=GIB))
    with pytest.raises(BadInput):
        ask(admission, "a", Instance(name="gpus", cpus=1, memory=GIB, gpus=1, gpu_type="B300"))
    assert waiting(admission) == []


def test_adopted_work_keeps_what_it_had_also_when_the_machine_has_shrunk() -> None:
    admission = Admission(Machine(cpus=1, memory=2 * GIB, gpus=GPUS[:1]), [ONE])
    admission.restore("old", ALL, "t1", "old #1")
    assert admission.restore("gpu", SHAPES[-1], "t1", "gpu #1", gpus=["GPU-0"]).gpus == ("GPU-0",)
    assert admission.free().cpus == 0
    assert isinstance(ask(admission, "a"), QueuePlace)
    admission.release("old")
    assert isinstance(ask(admission, "a"), QueuePlace)
    admission.release("gpu")
    assert isinstance(ask(admission, "a"), Grant)


def test_offers_tell_how_many_could_start_now(admission: Admission) -> None:
    ask(admission, "a", TWO)
    offers = {offer.instance.name: (offer.free, offer.total) for offer in admission.offers()}
    assert offers["cpu-1"] == (2, 4)
    assert offers["cpu-4"] == (0, 1)
    assert offers["h200-1"] == (2, 2)
    ask(admission, "big", ALL)
    assert all(offer.free == 0 for offer in admission.offers())
    assert [offer.instance.name for offer in admission.offers() if offer.default] == ["cpu-1"]


class Ledger(RuleBasedStateMachine):
    """Any sequence of requests, releases and repetitions."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []
        self.admission = Admission(MACHINE, SHAPES, self.told.append)
        self.asked: dict[str, tuple[Instance, str]] = {}
        self.count = 0

    @rule(instance=st.sampled_from(SHAPES), team=st.sampled_from("abc"), priority=st.integers(0, 1))
    def ask(self, instance: Instance, team: str, priority: int) -> None:
        self.count += 1
        id = f"r{self.count}"
        answer = self.admission.request(id, instance, team=team, name=id, priority=priority)
        self.asked[id] = (instance, team)
        assert isinstance(answer, Grant) == (id in granted(self.admission))

    @precondition(lambda self: self.asked)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        id = data.draw(st.sampled_from(sorted(self.asked)))
        del self.asked[id]
        self.admission.release(id)

    @precondition(lambda self: self.asked)
    @rule(data=st.data())
    def ask_again(self, data: st.DataObject) -> None:
        id = data.draw(st.sampled_from(sorted(self.asked)))
        instance, team = self.asked[id]
        before = granted(self.admission), waiting(self.admission)
        self.admission.request(id, instance, team=team, name=id)
        assert before == (granted(self.admission), waiting(self.admission))

    @invariant()
    def nothing_is_given_twice_or_beyond_the_machine(self) -> None:
        grants = self.admission.grants()
        assert sum(grant.instance.cpus for grant in grants) <= MACHINE.cpus
        assert sum(grant.instance.memory for grant in grants) <= MACHINE.memory
        gpus = [id for grant in grants for id in grant.gpus]
        assert len(gpus) == len(set(gpus)) == sum(grant.instance.gpus for grant in grants)
        names = {gpu.id: gpu.name for gpu in GPUS}
        for grant in grants:
            assert {names[id] for id in grant.gpus} <= {
                grant.instance.gpu_type or names.get(id) for id in grant.gpus
            }

    @invariant()
    def everything_asked_for_is_held_or_waits(self) -> None:
        held, queued = granted(self.admission), waiting(self.admission)
        assert sorted(held + queued) == sorted(self.asked)
        assert [entry.place.place for entry in self.admission.queue()] == list(range(1, len(queued) + 1))

    @invariant()
    def the_first_waits_only_for_what_is_held(self) -> None:
        queue = self.admission.queue()
        if queue:
            assert "kept for what came first" not in queue[0].place.waiting_for

    def teardown(self) -> None:
        """Let all work end, oldest first: everything is granted in the end, each that waited was told."""
        while self.admission.grants():
            self.admission.release(granted(self.admission)[0])
        assert waiting(self.admission) == []
        assert len(self.told) == len(set(self.told))


TestLedger = Ledger.TestCase


@given(
    sizes=st.lists(st.sampled_from(SHAPES), min_size=1, max_size=30),
    teams=st.lists(st.sampled_from("abc"), min_size=30, max_size=30),
)
def test_a_big_request_is_next_once_what_ran_before_it_has_ended(
    sizes: list[Instance], teams: list[str]
) -> None:
    admission = Admission(MACHINE, SHAPES)
    ask(admission, "before", ALL)
    ask(admission, "big", ALL, team="big")
    for n, (size, team) in enumerate(zip(sizes, teams, strict=False)):
        ask(admission, f"later{n}", size, team=team)
    admission.release("before")
    assert granted(admission) == ["big"]


def test_a_derived_catalogue_is_always_admissible() -> None:
    for cpus in (0.5, 1, 2, 3.5, 7, 64):
        machine = Machine(cpus=cpus, memory=5 * GIB, gpus=GPUS)
        for shape in instances.derive(machine):
            assert isinstance(ask(Admission(machine, []), "a", shape), Grant), shape
