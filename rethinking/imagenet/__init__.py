"""Training on ImageNet, or on any folder of that layout, by several processes: `torchrun -m rethinking.imagenet`.

`network` is what is trained, `reading` what it is trained on, `train` the loop, `checkpoint` what a run goes on from,
`cost` what a run takes, `__main__` the command, which alone holds leases and writes records.
"""
