"""Where every document lives: collections of typed documents over SQLite or PostgreSQL."""

from nabla.store.collection import Collection, Store
from nabla.store.query import Filters
from nabla.store.transaction import StoredChange, Transaction

__all__ = ["Collection", "Filters", "Store", "StoredChange", "Transaction"]
