"""JupyterHub with Nabla: what `nabla up` starts; a file of your own begins with the same two lines."""

import nabla_hub

nabla_hub.configure(c)  # noqa: F821
