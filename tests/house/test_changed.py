"""Which tests `make quick` runs for which files."""

import subprocess
from pathlib import Path

import pytest

from tests.house.changed import changed_files, unit_tests_of


@pytest.fixture
def tree(tmp_path):
    """A repository's files, empty."""
    for name in (
        *("tasks/store/store.py", "tasks/store/views.py", "tasks/home.py"),
        *("tests/tasks/store/test_store.py", "tests/tasks/store/test_store_in_buckets.py"),
        *("tests/tasks/store/test_query.py", "tests/tasks/store/parts.py"),
        *("tests/integration/test_demo.py", "tests/tasks/test_home.py"),
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


STORE = ["test_query.py", "test_store.py", "test_store_in_buckets.py"]


@pytest.mark.parametrize(
    ("changed", "tests"),
    [
        ("tasks/store/store.py", [f"tests/tasks/store/{name}" for name in STORE[1:]]),
        ("tasks/store/views.py", [f"tests/tasks/store/{name}" for name in STORE]),
        ("tests/tasks/store/parts.py", [f"tests/tasks/store/{name}" for name in STORE]),
        ("tests/tasks/store/test_query.py", ["tests/tasks/store/test_query.py"]),
        ("tasks/home.py", ["tests/tasks/test_home.py"]),
        ("tasks/gone/away.py", []),
        ("tests/integration/test_demo.py", []),
        ("tests/house/test_files.py", []),
        ("README.md", []),
        ("Makefile", []),
    ],
)
def test_a_file_leads_to_its_tests(tree, changed, tests):
    assert unit_tests_of([Path(changed)], tree) == ["tests/house", *tests]


def test_several_files_run_each_test_once(tree):
    both = [Path("tasks/store/store.py"), Path("tasks/store/views.py")]
    assert unit_tests_of(both, tree) == unit_tests_of(both[1:], tree)


def test_changes_are_those_since_main_committed_or_not(tree):
    def git(*arguments):
        identity = ("-c", "user.name=tester", "-c", "user.email=tester@localhost")
        subprocess.run(["git", *identity, *arguments], cwd=tree, check=True, capture_output=True)

    git("init", "--initial-branch", "main")
    git("add", ".")
    git("commit", "--message", "all")
    assert changed_files(tree) == []
    git("checkout", "-b", "branch")
    (tree / "tasks/home.py").write_text("HOME = 1\n")
    git("commit", "--all", "--message", "one")
    (tree / "tasks/store/views.py").write_text("VIEWS = 1\n")
    (tree / "tasks/new.py").touch()
    names = ["tasks/home.py", "tasks/new.py", "tasks/store/views.py"]
    assert [path.as_posix() for path in changed_files(tree)] == names
