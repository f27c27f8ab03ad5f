# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
# ---

# %% [markdown]
# # Does my network memorize my data?
#
# The paper's experiment on a network and data of your own: train once on the labels as they are, once on labels drawn
# at random. A network that fits random labels has memorized them, because there is nothing else to learn. This takes a
# minute or two on two cores.

# %%
import os

import torch
from torch import nn
from torch.utils.data import Subset

import rethinking as rt

EXAMPLES, EPOCHS = int(os.environ.get("EXAMPLES", "600")), int(os.environ.get("EPOCHS", "40"))

# %% [markdown]
# **Data:** any map-style torch data set of (image, label). Here it is a part of MNIST, which
# `rethinking data fetch mnist` gets.

# %%
dataset = Subset(rt.data.torch_dataset("mnist"), range(EXAMPLES))
test = Subset(rt.data.torch_dataset("mnist", train=False), range(EXAMPLES))

# %% [markdown]
# **Network:** any module that takes a batch of your images and gives a logit a class. A function that makes one is
# called under each seed, so that seeds differ in their initial weights too.


# %%
class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.filters = nn.Conv2d(1, 8, 5, stride=2)
        self.hidden = nn.Linear(8 * 12 * 12, 128)
        self.logits = nn.Linear(128, 10)

    def forward(self, images):  # (N, 1, 28, 28) -> (N, 10)
        x = torch.relu(self.filters(images)).flatten(1)
        return self.logits(torch.relu(self.hidden(x)))


def make():
    return Network()


# %%
options = {"test": test, "epochs": EPOCHS, "learning_rate": 0.05, "batch_size": 64, "stop": "fitted"}
true = rt.experiment(dataset, make, **options)
true

# %%
random = rt.experiment(dataset, make, corruption="random_labels", **options)
random

# %%
axes = random.plot()
# %% [markdown]
# Read the line of the second experiment. Training accuracy near 100 % and test accuracy near 10 %, which is chance,
# together say: yes, this network can memorize these data. The bits say how much: labels drawn at random cannot be
# compressed, so each that is fitted costs log2(10) = 3.3 bits, which are now in the weights.

# %%
print(f"{random.memorized_bits:,.0f} bits are memorized of random labels, {true.memorized_bits:,.0f} of true ones")
rt.compare(random, true)

# %% [markdown]
# ## Does a regularizer prevent it?
#
# The same strings as on the command line: `rethinking list regularizers` names them all.

# %%
dropout = rt.experiment(dataset, make, corruption="random_labels", regularizers="dropout=0.5", **options)
rt.compare(dropout, random)

# %% [markdown]
# ## The network itself
#
# It is an ordinary module, on the CPU and in evaluation mode. How sure is it of labels that mean nothing?

# %%
images = torch.stack([torch.from_numpy(dataset.dataset.data[i]).permute(2, 0, 1) for i in range(EXAMPLES)]) / 255
with torch.no_grad():
    sure = random.network(images).softmax(1).max(1).values
print(f"median probability of the label that it gives: {sure.median():.3f}")
