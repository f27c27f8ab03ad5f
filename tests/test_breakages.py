"""The breakages of `breakages.py` can be made: their runs take minutes, and are no part of `make test`."""

from breakages import BREAKAGES, ROOT


def test_every_breakage_is_of_a_text_that_is_there_once():
    there = [(each.name, (ROOT / "rethinking" / each.file).read_text().count(each.old)) for each in BREAKAGES]
    assert [name for name, count in there if count != 1] == []
    assert len({each.name for each in BREAKAGES}) == len(BREAKAGES) >= 20
    assert all(each.new != each.old for each in BREAKAGES)
