"""Fixtures of the end-to-end and fault tests: a folder and a stand-in provider for each module. Their conftest.py takes them in."""
import pytest

from provider import Provider


@pytest.fixture(scope="module")
def folder(tmp_path_factory, request):
    return tmp_path_factory.mktemp(request.module.__name__)


@pytest.fixture(scope="module")
def far(folder):
    with Provider(folder / "certificates") as provider:
        yield provider


@pytest.fixture(autouse=True)
def fresh(request):
    """Each test meets a provider that has seen and been told nothing. A module that has more to reset replaces this."""
    if "far" in request.fixturenames:
        request.getfixturevalue("far").reset()
