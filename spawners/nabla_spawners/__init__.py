"""How a person's notebook server becomes a process (or a pod) that JupyterHub can start."""
