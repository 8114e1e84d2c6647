"""Pages of the service for people: what the token of a page in somebody's server may not touch."""
