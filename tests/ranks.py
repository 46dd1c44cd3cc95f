"""Processes that share a job, as tests start them, and what they do."""

import json
import secrets
import sys
import time
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file
from torch.multiprocessing.spawn import start_processes

from stylekit.errors import StylekitError
from stylekit.system.distributed import World
from stylekit.training.photos import CropSampler, open_photos
from stylekit.training.train import train_style
from stylekit.training.trainer import Trainer

PATIENCE = 120  # seconds after which the processes have failed


def run_ranks(folder, function, *arguments, size=2, restarts=(0, 0)):
    """Call `function(world, folder, *arguments)` in `size` processes; return what each returns, which must fit JSON."""
    init_method = (folder / f"rendezvous-{secrets.token_hex(4)}").as_uri()
    context = start_processes(
        _enter,
        (function, folder, size, init_method, restarts, arguments),
        nprocs=size,
        join=False,
        start_method="spawn",
    )
    deadline = time.monotonic() + PATIENCE
    try:
        while not context.join(timeout=1):
            assert time.monotonic() < deadline, f"{function.__name__} takes more than {PATIENCE} s"
    finally:
        for process in context.processes:
            process.kill()
    return [json.loads((folder / f"rank-{rank}.json").read_text()) for rank in range(size)]


def _enter(rank, function, folder, size, init_method, restarts, arguments):
    torch.set_num_threads(1)
    world = World(rank, size, restarts=restarts[rank], init_method=init_method)  # each as if on its own machine
    (folder / f"rank-{rank}.json").write_text(json.dumps(function(world, folder, *arguments)))


def exchange(world, folder):
    """Average, combine and broadcast."""
    with world.joined("cpu"):
        tensors = [
            torch.full((2, 3), 1.0 + world.rank),
            torch.arange(8.0).view(1, 2, 2, 2).to(memory_format=torch.channels_last) * world.rank,
            torch.tensor(10.0 * world.rank),
        ]
        world.average(tensors)
        return {
            "means": [tensor.tolist() for tensor in tensors],
            "any": [world.any(False), world.any(world.rank == 1), world.any(True)],
            "sent": world.broadcast(b"from rank %d" % world.rank).decode(),
        }


def trainer_of(world, config, material):
    """Return a trainer and its crops, made as `train_style` makes them."""
    sampler = CropSampler(
        open_photos(material.photos),
        crop_size=config.crop_size,
        batch_size=config.batch_size,
        seed=config.seed,
        first=world.rank * config.batch_size,
    )
    painting = np.random.default_rng(0).random((32, 32, 3), np.float32)
    trainer = Trainer(config, painting, load_file(material.weights), world)
    trainer.calibrate(sampler.crops(0, range(16)))
    return trainer, sampler


def gradients_of_a_step(trainer, sampler):
    """Take a step; return the losses and the gradients of the step."""
    reached = trainer.train_step(sampler.batch(0))
    return reached, {name: tensor.grad.numpy() for name, tensor in trainer.network.named_parameters()}


def take_a_step(world, folder, config, material):
    """Take a step, and save its gradients."""
    with world.joined("cpu"):
        reached, gradients = gradients_of_a_step(*trainer_of(world, config, material))
        np.savez(folder / f"gradients-{world.rank}.npz", **gradients)
        return reached


def take_steps(world, folder, config, material):
    """Take all steps, and save the weights."""
    with world.joined("cpu"):
        trainer, sampler = trainer_of(world, config, material)
        reached = [trainer.train_step(sampler.batch(step)) for step in range(config.steps)]
        np.savez(folder / f"weights-{world.rank}.npz", **trainer.weights())
        return reached


def train(world, folder, config, material, keywords=None, troubled=-1, trouble=""):
    """Train as the command does. One rank may fail after two steps.

    Returns the steps reported, the files opened for writing in the run folder, and the error raised.
    """
    run_dir, written, steps = folder / "run", [], []

    def audit(event, arguments):
        if event == "open" and isinstance(arguments[1], str) and arguments[1][0] in "wxa":
            path = Path(str(arguments[0]))
            if path.is_relative_to(run_dir) or "home" in str(path):
                written.append(path.name.split(".")[1] if path.name.startswith(".") else path.name)

    sys.addaudithook(audit)

    def after_step(report):
        steps.append(report.step)
        if report.step == 2 and world.rank == troubled and trouble == "leaves":
            raise MemoryError
        if report.step == 2 and world.rank == troubled and trouble == "diverges":
            step = Trainer.train_step
            Trainer.train_step = lambda self, crops: step(self, crops * np.nan)  # type: ignore[method-assign]

    error = ""
    try:
        train_style(
            material.painting,
            material.photos,
            config,
            name="wave",
            run_dir=run_dir,
            previews=[material.preview],
            world=world,
            on_step=after_step,
            should_stop=lambda: world.rank == troubled and trouble == "stops" and len(steps) == 2,
            **(keywords or {}),
        )
    except (StylekitError, KeyboardInterrupt, MemoryError) as caught:
        error = type(caught).__name__
    return {"steps": steps, "written": sorted(set(written)), "error": error}
