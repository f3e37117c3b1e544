"""Libraries are loaded without the garbage collector, which then works as before."""

import gc

import pytest

from emi_model.loading import without_gc


@pytest.fixture(autouse=True)
def collecting():
    yield
    gc.unfreeze()
    gc.enable()


def test_nothing_is_collected_while_libraries_load():
    with without_gc():
        assert not gc.isenabled()
    assert gc.isenabled()


def test_what_was_loaded_is_not_looked_at_again():
    gc.unfreeze()
    with without_gc():
        loaded = [[] for _ in range(1_000)]
    assert gc.get_freeze_count() > len(loaded)
    assert not any(thing is loaded for thing in gc.get_objects())


def test_garbage_made_later_is_collected():
    with without_gc():
        pass
    ring = []
    ring.append(ring)
    del ring
    assert gc.collect() >= 1


def test_a_process_that_collects_nothing_keeps_to_that():
    gc.disable()
    with without_gc():
        pass
    assert not gc.isenabled()


def test_the_collector_is_back_after_a_library_that_does_not_load():
    with pytest.raises(ModuleNotFoundError), without_gc():
        import no_such_library  # noqa: F401
    assert gc.isenabled()
