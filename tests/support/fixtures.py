"""Fixtures of the end-to-end and fault tests: a folder and stand-in providers for each module. Their conftest.py takes them in."""
import pytest

from provider import Provider


@pytest.fixture(scope="module")
def folder(tmp_path_factory, request):
    return tmp_path_factory.mktemp(request.module.__name__)


@pytest.fixture(scope="module")
def far(folder):
    with Provider(folder / "certificates") as provider:
        yield provider


@pytest.fixture(scope="module")
def judge(folder):
    """Another, who judges shadow samples."""
    with Provider(folder / "certificates") as provider:
        yield provider


@pytest.fixture(autouse=True)
def fresh(request):
    """Each test meets providers that have seen and been told nothing. A module that has more to reset replaces this."""
    for name in {"far", "judge"}.intersection(request.fixturenames):
        request.getfixturevalue(name).reset()
