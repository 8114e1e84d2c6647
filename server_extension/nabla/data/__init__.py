"""`nabla.dataset`: a version of a dataset as a folder, and folders as versions, in a notebook or a script."""
