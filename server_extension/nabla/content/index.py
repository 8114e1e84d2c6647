"""The files of one version in one SQLite file: listed by folder, compared, and told as DVC tells them."""
