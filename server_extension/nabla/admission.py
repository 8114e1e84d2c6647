"""The one queue and ledger of a machine: who holds which cores, memory and GPUs, and who is next."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nabla.errors import BadInput
from nabla.schema import Capacity, Instance, InstanceOffer, QueuePlace

if TYPE_CHECKING:
    from nabla.machine import Machine

GIB = 1024**3
NAMED = 3
"""Holders that a sentence names before it counts the rest."""

Need = Mapping[str, int]
"""How much of each resource: `cpus` (thousandths), `memory` (bytes), `gpus`, and `gpus TYPE` of one type."""


@dataclass(frozen=True)
class Grant:
    """An instance that is held: by whom, and which GPUs (their ids) go with it."""

    id: str
    instance: Instance
    team: str
    name: str
    gpus: tuple[str, ...] = ()


@dataclass(frozen=True)
class Waiting:
    """One line of the queue: who waits for which instance (its name), and where."""

    id: str
    name: str
    team: str
    instance: str
    place: QueuePlace


@dataclass
class _Request:
    id: str
    instance: Instance
    team: str
    name: str
    order: tuple[int, int, int]


class Admission:
    """Grants instances in turn: by priority, then one of each team after the other, then by arrival.

    What the first in the queue needs is set aside until it fits, so that smaller ones, which may pass
    when they take none of that, never keep a big one waiting.
    """

    def __init__(
        self,
        machine: Machine,
        catalogue: Sequence[Instance],
        on_free: Callable[[str], object] | None = None,
    ) -> None:
        """Start with all of `machine` free; `on_free` is told each id that is granted after a wait."""
        self._machine = machine
        self._catalogue = list(catalogue)
        self._on_free = on_free
        self._capacity = _capacity(machine)
        self._grants: dict[str, Grant] = {}
        self._queue: dict[str, _Request] = {}
        self._arrivals = 0
        self._round = 0
        self._rounds: dict[str, int] = {}

    def request(
        self, id: str, instance: Instance, *, team: str, name: str, priority: int = 0
    ) -> Grant | QueuePlace:
        """Return the grant of `id`, or its place in the queue; asked again, it keeps its place.

        Raises `BadInput` when this machine could never give that instance.
        """
        if id in self._grants:
            return self._grants[id]
        if id not in self._queue:
            self._check_size(instance)
            self._arrivals += 1
            order = (-priority, self._next_round(team), self._arrivals)
            self._queue[id] = _Request(id, instance, team, name, order)
        self._serve(asking=id)
        return self._grants.get(id) or self._place(id)

    def release(self, id: str) -> None:
        """Take back what `id` holds, or its place in the queue; an unknown id changes nothing."""
        held = self._grants.pop(id, None)
        waited = self._queue.pop(id, None)
        if held or waited:
            self._serve()

    def restore(
        self, id: str, instance: Instance, team: str, name: str, gpus: Sequence[str] | None = None
    ) -> Grant:
        """Enter what is running already, also beyond the capacity; to be called before the first request.

        `gpus` are the ids that it holds; None takes free ones in the machine's order.
        """
        self._queue.pop(id, None)
        if id not in self._grants:
            chosen = self._choose_gpus(instance, self._free()) if gpus is None else tuple(gpus)
            self._grants[id] = Grant(id, instance, team, name, chosen)
        return self._grants[id]

    def grants(self) -> list[Grant]:
        """Return all that is held, oldest first."""
        return list(self._grants.values())

    def queue(self) -> list[Waiting]:
        """Return who waits, the next first."""
        ordered = self._ordered()
        return [Waiting(r.id, r.name, r.team, r.instance.name, self._place(r.id, ordered)) for r in ordered]

    def free(self) -> Capacity:
        """Return what nobody holds."""
        free = self._free()
        return Capacity(
            cpus=max(0, free["cpus"]) / 1000, memory=max(0, free["memory"]), gpus=max(0, free["gpus"])
        )

    def offers(self) -> list[InstanceOffer]:
        """Return the catalogue: how many of each could start now, and on an idle machine."""
        free = self._unclaimed()
        return [
            InstanceOffer(
                instance=instance,
                free=_fits(_need(instance), free),
                total=_fits(_need(instance), self._capacity),
                default=index == 0,
            )
            for index, instance in enumerate(self._catalogue)
        ]

    def _next_round(self, team: str) -> int:
        if not self._queue:
            self._rounds.clear()
            self._round = 0
        else:
            self._round = max(self._round, min(r.order[1] for r in self._queue.values()))
        # A team's n-th waiting request is in the n-th round from now: nobody passes who is first already.
        self._rounds[team] = max(self._round, self._rounds.get(team, -1) + 1)
        return self._rounds[team]

    def _ordered(self) -> list[_Request]:
        return sorted(self._queue.values(), key=lambda request: request.order)

    def _serve(self, asking: str | None = None) -> None:
        """Grant what fits, in order; keep from the others what the first that does not fit needs."""
        free = self._free()
        blocked = False
        for request in self._ordered():
            need = _need(request.instance)
            if _fits(need, free):
                del self._queue[request.id]
                gpus = self._choose_gpus(request.instance, free)
                grant = Grant(request.id, request.instance, request.team, request.name, gpus)
                self._grants[request.id] = grant
                free = _less(free, self._held(grant))
                if request.id != asking and self._on_free:
                    self._on_free(request.id)
            elif not blocked:
                blocked = True
                free = _less(free, need)

    def _free(self) -> dict[str, int]:
        free = dict(self._capacity)
        for grant in self._grants.values():
            free = _less(free, self._held(grant))
        return free

    def _held(self, grant: Grant) -> dict[str, int]:
        """Return what a grant takes: of the kinds of GPU those it got, also where it asked for any."""
        held = _need(grant.instance)
        held.pop(f"gpus {grant.instance.gpu_type}", None)
        for gpu in self._machine.gpus:
            if gpu.id in grant.gpus:
                held[f"gpus {gpu.name}"] = held.get(f"gpus {gpu.name}", 0) + 1
        return held

    def _unclaimed(self) -> dict[str, int]:
        """Return what is free and not set aside for the first in the queue."""
        free = self._free()
        return _less(free, _need(self._ordered()[0].instance)) if self._queue else free

    def _choose_gpus(self, instance: Instance, free: Need) -> tuple[str, ...]:
        """Return idle GPUs of the kind asked for, and none of a kind that is set aside."""
        held = {id for grant in self._grants.values() for id in grant.gpus}
        left = dict(free)
        chosen: list[str] = []
        for gpu in self._machine.gpus:
            kind = f"gpus {gpu.name}"
            wanted = len(chosen) < instance.gpus and instance.gpu_type in ("", gpu.name)
            if wanted and gpu.id not in held and left[kind] > 0:
                left[kind] -= 1
                chosen.append(gpu.id)
        return tuple(chosen)

    def _check_size(self, instance: Instance) -> None:
        if _fits(_need(instance), self._capacity):
            return
        has = [f"{self._machine.cpus:g} cores", f"{self._machine.memory / GIB:.1f} GiB of memory"]
        has.append(f"{len(self._machine.gpus)} GPUs" if self._machine.gpus else "no GPU")
        raise BadInput(
            f'The instance "{instance.name}" is larger than this machine, which has '
            f"{', '.join(has)}: choose a smaller one.",
            field="instance",
        )

    def _place(self, id: str, ordered: Sequence[_Request] | None = None) -> QueuePlace:
        ordered = self._ordered() if ordered is None else ordered
        index = next(i for i, request in enumerate(ordered) if request.id == id)
        request = ordered[index]
        before = f"; {index} before it" if index else ""
        return QueuePlace(
            place=index + 1, length=len(ordered), waiting_for=f"{self._shortage(request)}{before}."
        )

    def _shortage(self, request: _Request) -> str:
        need, free = _need(request.instance), self._free()
        short = [resource for resource, amount in need.items() if amount > free.get(resource, 0)]
        if not short:
            return "What is free is kept for what came first"
        resource = next((r for r in ("gpus", "cpus", "memory") if r in short), short[0])
        holders = [g for g in self._grants.values() if self._held(g).get(resource)]
        total = self._capacity[resource]
        used = sum(self._held(g)[resource] for g in holders)
        return f"{_amount(resource, used, total)} in use by {_holders(holders, request.team)}"


def _capacity(machine: Machine) -> dict[str, int]:
    capacity = {
        "cpus": round(machine.cpus * 1000),
        "memory": machine.memory,
        "gpus": len(machine.gpus),
    }
    for gpu in machine.gpus:
        capacity[f"gpus {gpu.name}"] = capacity.get(f"gpus {gpu.name}", 0) + 1
    return capacity


def _need(instance: Instance) -> dict[str, int]:
    need = {"cpus": round(instance.cpus * 1000), "memory": instance.memory}
    if instance.gpus:
        need["gpus"] = instance.gpus
        if instance.gpu_type:
            need[f"gpus {instance.gpu_type}"] = instance.gpus
    return need


def _fits(need: Need, free: Need) -> int:
    """Return how many times `need` fits into `free`."""
    return max(0, min(free.get(resource, 0) // amount for resource, amount in need.items() if amount))


def _less(free: Need, need: Need) -> dict[str, int]:
    return {resource: amount - need.get(resource, 0) for resource, amount in free.items()}


def _amount(resource: str, used: int, total: int) -> str:
    if resource == "memory":
        return f"{used / GIB:.1f} of {total / GIB:.1f} GiB of memory are"
    if resource == "cpus":
        return f"{used / 1000:g} of {total / 1000:g} cores are"
    kind = resource.removeprefix("gpus").strip()
    return f"{used} of {total} {kind + ' ' if kind else ''}GPUs are"


def _holders(holders: Sequence[Grant], team: str) -> str:
    """Name what the team itself holds, and only count what others do."""
    own = [grant.name for grant in holders if grant.team == team]
    others = len(holders) - len(own)
    words = own[:NAMED]
    if len(own) > NAMED:
        words.append(f"{len(own) - NAMED} more of your team's")
    if others:
        words.append("another team's run" if others == 1 else f"{others} of other teams' runs")
    return ", ".join(words[:-1]) + " and " + words[-1] if len(words) > 1 else "".join(words) or "nobody"
