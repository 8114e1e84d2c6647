"""Packing: a folder becomes a manifest and the contents that a store lacks, beside the files."""

from nabla.packing.folder import Limits
from nabla.packing.git import git_state, without_credentials
from nabla.packing.pack import BATCH_SIZE, Packed, batches, pack, tar_of

__all__ = [
    "BATCH_SIZE",
    "Limits",
    "Packed",
    "batches",
    "git_state",
    "pack",
    "tar_of",
    "without_credentials",
]
