"""The history of the database's tables; `nabla.store.engine` applies it, nobody runs it by hand."""
