"""Slides: a figure and its finding each, everything on them large enough for a talk and nothing on something else."""

import json
import shutil
from pathlib import Path

import pytest
from command import cli, one_line

from rethinking import catalog
from rethinking.record import Runs
from rethinking.report import model, slides

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_text_is_of_a_talks_size_within_the_slide_and_apart_from_the_panels(results):
    import matplotlib.pyplot as plt
    from matplotlib.text import Text

    with slides.style():
        made = slides.drawn(results, Runs(ROOT / "runs"))
        assert len(made) == 15
        for draw, _ in made:
            figure = draw()
            figure.draw_without_rendering()
            texts = [t for t in figure.findobj(Text) if t.get_text().strip() and t.get_visible()]
            assert min(t.get_fontsize() for t in texts) >= 16
            whole = figure.bbox.padded(1)
            lines = [t.get_window_extent() for t in figure.texts if t.get_text()]
            panels = [axes.get_tightbbox() for axes in figure.axes]
            panels += [legend.get_window_extent() for legend in figure.legends]
            for box in [*lines, *panels]:
                assert whole.x0 <= box.x0 < box.x1 <= whole.x1
                assert whole.y0 <= box.y0 < box.y1 <= whole.y1
            for k, box in enumerate([*lines, *panels]):
                assert not any(box.padded(-2).overlaps(other) for other in lines[:k]), figure.texts[0].get_text()
            plt.close(figure)


def test_a_slide_has_the_title_of_its_figure_and_of_several_drawings_that_with_most_of_its_runs(results):
    shown = slides.chosen(results)
    assert [result.name for result in shown] == list(slides.SLIDES)
    assert all(result.numbers["finding"] for result in shown)
    fig1b = next(r for r in shown if r.name == "fig1b")
    with slides.style():
        figure = slides._figure(fig1b, Runs(ROOT / "runs"))
    texts = [" ".join(text.get_text().split()) for text in figure.texts]
    told = "Random labels take Inception 3.4 and MLP 1x512 2.8 times the steps of true ones"
    assert texts[0] == fig1b.numbers["finding"] == told
    assert texts.count(texts[0]) == 1
    counted = " ".join(f"{t[0].upper()}{t[1:]}: {n}." for t, n in model.counts_apart(fig1b.judged))
    assert texts[1].endswith(counted)
    both = [r for r in shown if len({c.own for c in r.judged}) == 2]
    assert both
    for result in both:
        (own, ours), (more, theirs) = model.counts_apart(result.judged)
        assert (own, more) == (model.OWN, model.EXTENSIONS)
        assert ours == model.counts(c for c in result.judged if c.own)
        assert theirs == model.counts(c for c in result.judged if not c.own)
    drawings = [r for r in results if r.name == "fig1a"]
    part = {r.stem: len(r.numbers["missing"]) for r in drawings}
    assert min(part, key=part.get) in {r.stem for r in shown}


def test_every_figure_and_table_of_the_paper_that_is_not_of_imagenet_has_a_slide():
    named = {name for name in catalog.names("figures") if model.artefact(name)}
    assert named - set(slides.SLIDES) == {"fig2a", "table2"}


def test_the_command_writes_the_same_files_twice_and_whence_reads_a_slide(tmp_path):
    (tmp_path / "figures").mkdir()
    for form in ("json", "svg", "pdf"):
        shutil.copy(ROOT / "figures" / f"fig1c-paper.{form}", tmp_path / "figures")
    words = ("slides", "--figures", tmp_path / "figures", "--runs", ROOT / "runs", "--format", "png,pdf", "--out")
    files = [json.loads(cli(*words, tmp_path / name, "--json").stdout)["files"] for name in "ab"]
    assert [Path(f).name for f in files[0]] == ["slides.pdf", *(f"slide-0{k}.png" for k in (1, 2, 3, 4))]
    for a, b in zip(*files, strict=True):
        assert Path(a).read_bytes() == Path(b).read_bytes()
    verify = f"{len(json.loads((ROOT / 'figures' / 'fig1c-paper.json').read_text())['runs'])} runs: they verify"
    told = cli("whence", files[0][2], "--runs", ROOT / "runs", "--out", ROOT / "figures")
    assert (told.returncode, verify in told.stdout) == (0, True)
    for file in (files[0][0], files[0][1]):  # all slides; the first one, which is of all figures
        told = cli("whence", file, "--runs", ROOT / "runs", "--out", ROOT / "figures")
        assert told.returncode == 0
        assert "fig1c, scale paper" in told.stdout
        assert verify in told.stdout
    Path(files[1][0]).write_text("my own talk")
    assert "slides.pdf is there, and was not written by this command" in one_line(cli(*words, tmp_path / "b"))
    assert Path(files[1][0]).read_text() == "my own talk"
    assert "format is 'gif'" in one_line(cli("slides", "--format", "gif"))
    (tmp_path / "none").mkdir()
    assert "name a folder with --figures" in one_line(cli("slides", "--figures", tmp_path / "none", "--out", tmp_path))
