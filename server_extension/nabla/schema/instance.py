"""Instance: a named machine shape, and what of it is free."""

from __future__ import annotations

from pydantic import Field

from nabla.schema.base import Model


class Instance(Model):
    """A machine shape that work can be given."""

    name: str
    cpus: float = Field(gt=0, description="vCPUs.")
    memory: int = Field(gt=0, description="Bytes.")
    gpus: int = Field(default=0, ge=0)
    gpu_type: str = ""
    gpu_memory: int = Field(default=0, ge=0, description="Bytes of each GPU.")
    price: float = Field(default=0.0, ge=0, description="Per hour, in the admin's currency.")


class Capacity(Model):
    """What a machine has, or has left."""

    cpus: float = Field(ge=0)
    memory: int = Field(ge=0, description="Bytes.")
    gpus: int = Field(default=0, ge=0)


class InstanceOffer(Model):
    """An instance, and how many of it could start now."""

    instance: Instance
    free: int
    total: int
    default: bool = False


class QueuePlace(Model):
    """Where something waits, and what for."""

    place: int = Field(ge=1, description="1 is next.")
    length: int = Field(ge=1)
    waiting_for: str = Field(description="A sentence: what is missing, and who holds it.")
