"""The `nabla` command: each group is loaded when it is used."""
