"""Sentences about the results, in English and Chinese, whose numbers come from the claims; and a discussion guide."""

import re
from collections.abc import Iterable, Sequence

from rethinking import claims
from rethinking.claims import EXTENSION, NOT_JUDGED, NOT_REPLICATED, NOT_RUN, REPLICATED
from rethinking.report import model
from rethinking.report.model import Judged, Result

# What a reading group can ask of each of the paper's figures and tables, and what would change our mind.
QUESTIONS: dict[str, tuple[list[str], str]] = {
    "Figure 1(a)": (
        [
            "Why do random pixels and Gaussian images fit earlier than random labels on natural images?",
            "Which explanation of generalization survives when the same network fits noise?",
        ],
        "A network of the paper's size that is trained to the end and does not fit one of the five conditions.",
    ),
    "Figure 1(b)": (
        [
            "The paper calls the factor small and constant: small compared with what?",
            "Does the slowdown measure how hard the labels are, or how the optimizer copes with them?",
        ],
        "A factor that grows with the number of images, or that leaves the paper's range at some corruption.",
    ),
    "Figure 1(c)": (
        [
            "Between true and random labels, what part of the test error is noise in the labels alone?",
            "Would a network that stopped before it fits the corrupted labels have a lower test error?",
        ],
        "A test error that does not rise with the corruption, or that leaves chance at fully random labels.",
    ),
    "Figure 2(a)": (
        ["Early stopping helps on ImageNet in the paper: what differs from CIFAR-10?"],
        "Runs on ImageNet; there are none here.",
    ),
    "Figure 2(b)": (
        ["Does batch normalization regularize, or does it ease optimization, and how could one tell?"],
        "A gain of early stopping on CIFAR-10 that is larger than the range over seeds.",
    ),
    "Table 1": (
        [
            "If each regularizer moves test accuracy by a few points, what carries the rest of generalization?",
            "How large must a change be before one seed can show it?",
        ],
        "More seeds in which a change has the other sign, or weight decay of the strength that the paper used.",
    ),
    "Table 2": (
        ["How far can a network with random labels of a million images go in the time that true ones take?"],
        "Runs on ImageNet; there are none here.",
    ),
    "Table 3": (
        [
            "A larger norm comes with the smaller test error: what does this say of norm as a measure of complexity?",
            "Which choice of kernel or whitening would close the gap to the paper's error on CIFAR-10?",
        ],
        "The paper's own preprocessing, if it gave its error with our solver.",
    ),
    "Table 4": (
        ["Does a regularizer that lets random labels be fitted still restrict what the network learns?"],
        "A regularizer at its usual strength that keeps random labels from being fitted, in every seed.",
    ),
    "Theorem 1": (
        ["The construction depends on the data: what does it say of networks that SGD finds?"],
        "A sample of distinct points that the construction does not fit to the precision of its arithmetic.",
    ),
    "Section 2.2": (
        ["If the class of networks can fit any signs, what bound on the test error can still be told from it?"],
        "A network of the paper's size that SGD does not fit to random signs.",
    ),
    "Section 5": (
        ["SGD picks the solution of minimum norm in a linear model: is there an analogue for deep networks?"],
        "A linear model on which SGD from zero converges to another solution.",
    ),
}

# The summary: English, Chinese. Numbers come by name from `values`; a sentence whose numbers are not there is left out.
SENTENCES = [
    (
        "The paper claims that networks which generalize well also fit labels and images that are noise, and that "
        "explicit regularization does not stop them.",
        "论文主张：泛化良好的网络同样能拟合随机标签和噪声图像，而显式正则化并不能阻止这一点。",
    ),
    (
        "Here {own} of its claims are stated with a rule of judgement: {verdicts}.",
        "本项目把论文的 {own} 条主张写成带有判定规则的陈述：{verdicts_zh}。",
    ),
    (
        "{full} of them are about all training images of CIFAR-10, MNIST or ImageNet; all results rest on {records} "
        "records.",
        "其中 {full} 条针对 CIFAR-10、MNIST 或 ImageNet 的全部训练图像；所有结果来自 {records} 条运行记录。",
    ),
    (
        "With random labels MLP 3x512 reaches {random_fit} % training accuracy and {random_test} % test accuracy.",
        "使用随机标签时，MLP 3x512 的训练准确率为 {random_fit} %，测试准确率为 {random_test} %。",
    ),
    (
        "With true labels the same network reaches {true_test} % test accuracy.",
        "使用真实标签时，同一网络的测试准确率为 {true_test} %。",
    ),
    (
        "Fitting random labels takes MLP 1x512 {slower} times the steps of fitting true ones.",
        "MLP 1x512 拟合随机标签所需的步数是拟合真实标签的 {slower} 倍。",
    ),
    (
        "With weight decay MLP 3x512 reaches {decayed_fit} % training accuracy on random labels.",
        "加入权重衰减后，MLP 3x512 在随机标签上的训练准确率为 {decayed_fit} %。",
    ),
    (
        "Weight decay changes AlexNet's test accuracy by {decay} points, by {paper_decay} in the paper, which does not "
        "state its strength.",
        "权重衰减使 AlexNet 的测试准确率变化 {decay} 个百分点，论文中为 {paper_decay}，但论文没有说明其强度。",
    ),
    (
        "The two-layer network of Theorem 1 has {weights} weights here and fits random labels with a largest error of "
        "{error}.",
        "定理 1 的两层网络在这里有 {weights} 个权重，拟合随机标签的最大误差为 {error}。",
    ),
    (
        "Extensions are counted apart: {extensions}. Not run at all, of the paper's figures and tables: {gone}.",
        "扩展实验另行统计（{extensions_zh}）；论文的图和表中尚未运行的有：{gone_zh}。",
    ),
]
CHINESE = {
    REPLICATED: "已复现",
    NOT_REPLICATED: "未能复现",
    NOT_RUN: "未运行",
    NOT_JUDGED: "在此规模下未作判定",
    EXTENSION[REPLICATED]: "成立",
    EXTENSION[NOT_REPLICATED]: "不成立",
    EXTENSION[NOT_JUDGED]: "未作判定",
    "no claims": "没有主张",
    "Figure": "图",
    "Table": "表",
    "Theorem": "定理",
    "Section": "章节",
}
# Numbers for prose: of which claim, under which name, and how they are written.
NUMBERS = {
    "random_fit": ("table1.mlp-3x512.random_labels", "training accuracy (%)", ".2f"),
    "random_test": ("table1.mlp-3x512.random_labels", "test accuracy (%)", ".2f"),
    "true_test": ("table1.mlp-3x512", "test accuracy (%)", ".2f"),
    "slower": ("fig1b.slower.mlp-1x512", "p = 1", ".2f"),
    "decayed_fit": ("table4.mlp-3x512.weight_decay", "training accuracy (%)", ".2f"),
    "decay": ("effects.weight_decay.alexnet", "change (points)", "+.2f"),
    "weights": ("theorem1.weights", "weights", ",.0f"),
    "error": ("theorem1.fits", "largest error", ".1e"),
}


def values(found: Sequence[Result]) -> dict[str, str]:
    """Numbers for prose, by name; those of a claim that is not judged are not there."""
    kept = model.once(found)
    own, more = ([claim for claim in kept if claim.own == mine] for mine in (True, False))
    gone = [row.name for row in model.scoreboard(found) if row.status == NOT_RUN]
    out = {
        "own": str(len(own)),
        "verdicts": model.counts(own),
        "verdicts_zh": _chinese_counts(own),
        "full": str(sum(c.size == "full size" for c in own)),
        "records": f"{len({run for result in found for run in result.numbers['runs']}):,}",
        "extensions": f"{len(more)} claims ({model.counts(more)})",
        "extensions_zh": f"{len(more)} 条：{_chinese_counts(more)}",
        "gone": ", ".join(gone) or "none",
        "gone_zh": "、".join(re.sub("[A-Z][a-z]+", lambda m: CHINESE[m[0]], name) for name in gone) or "没有",
    }
    drawn = {claim.id: claim.result for claim in own}  # of which drawing its numbers are
    told = ((r.stem, c) for r in found for c in r.numbers["claims"])
    numbers = {c["id"]: c for stem, c in told if drawn.get(c["id"]) == stem and c["ours"]}
    for name, (claim, key, form) in NUMBERS.items():
        there = [v for v in numbers.get(claim, {}).get("numbers", {}).get(key, []) if v is not None]
        if there:
            out[name] = format(claims.median(there), form)
            out[f"paper_{name}"] = numbers[claim]["paper"].removesuffix(" points")
    return out


def _chinese_counts(judged: Iterable[Judged]) -> str:
    """The same as model.counts, in Chinese."""
    count = claims.counts(claim.verdict for claim in judged).items()
    return "、".join(f"{n} 条{CHINESE[word]}" for word, n in count) or CHINESE["no claims"]


def sentences(found: Sequence[Result]) -> list[tuple[str, str]]:
    """The summary, a pair of English and Chinese for each sentence."""
    known = values(found)
    there = [pair for pair in SENTENCES if set(re.findall(r"{(\w+)}", "".join(pair))) <= known.keys()]
    return [(english.format(**known), chinese.format(**known)) for english, chinese in there]
