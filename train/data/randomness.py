"""Randomness that follows from the seed, the epoch and the clips alone: the same after a kill and in any process."""

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_pt_utils import LengthGroupedSampler


class Epoch:
    """Number of the running epoch, in memory that worker processes share."""

    def __init__(self):
        self._number = torch.zeros((), dtype=torch.long).share_memory_()

    def __int__(self) -> int:
        return int(self._number)

    def set(self, number: int) -> None:
        """Begin an epoch."""
        self._number.fill_(number)


class EpochCallback(TrainerCallback):
    """Tells an [`Epoch`] which epoch begins, also when training goes on in the middle of one."""

    def __init__(self, epoch: Epoch):
        self.epoch = epoch

    def on_epoch_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs) -> None:
        self.epoch.set(int(state.epoch or 0))


class EpochSampler(LengthGroupedSampler):
    """Clips of like length side by side, in an order that follows from seed and epoch.

    The Trainer's own draws the order from the global random numbers. A checkpoint holds their state as it is when it
    is written, which in the middle of an epoch is not the one that the order was drawn with.

    Args:
        batch_size: clips in a step of all processes together.
        lengths: of the clips.
        seed: of the order.
        epoch: the running one.
    """

    def __init__(self, batch_size: int, lengths: Sequence[int], seed: int, epoch: Epoch):
        super().__init__(batch_size, lengths=list(lengths), generator=torch.Generator())
        self.seed = seed
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        self.generator.manual_seed(derived_seed(self.seed, int(self.epoch)))
        return super().__iter__()


@contextmanager
def seeded(*numbers: int) -> Iterator[None]:
    """Context in which random numbers of Python, numpy and torch follow from whole numbers, and nothing else changes.

    Behind it, the three generators go on as if nothing had been drawn.
    """
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    seed = derived_seed(*numbers)
    random.seed(seed)
    np.random.seed(seed)
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])


def derived_seed(*numbers: int) -> int:
    """A seed of 32 bits that follows from whole numbers; numbers that differ a little give unlike seeds."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])
