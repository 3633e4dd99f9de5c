"""The precision that dreams run in, and what is compiled of dreams and of training.

Compilation is tested on CPUs, without a compiler and so without its gain; on CUDA devices, where it
is the default, it has not run yet. `compile=false` and `compiles_dreams = False` turn it off.
`compiles_dreams = "graphs"` asks for CUDA graphs as well, which have not run yet either.
"""

import copy
from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from worldtokens.common.devices import native_autocast_dtype
from worldtokens.world_model.config import WorldModelConfig
from worldtokens.world_model.networks.kv_cache import Memory
from worldtokens.world_model.networks.transformer import Transformer

BACKEND = "inductor"
GRAPHS = "graphs"


class Prepared:
    """What dreams of a model share: its copy in low precision and the compiled pass.

    A copy or a pickle of the model starts with nothing prepared.
    """

    def __init__(self) -> None:
        """Prepares nothing."""
        self.network: PreparedModule | None = None
        self.made_of: tuple = ()
        self.compiled: dict[bool | str | None, Callable[..., Tensor]] = {}

    def __reduce__(self) -> tuple[type, tuple]:
        """Leaves all behind."""
        return Prepared, ()


class PreparedModule(nn.Module):
    """A module with a transformer whose passes this file prepares.

    Attributes:
        uses_autocast: Whether dreams run in bfloat16 where the device multiplies it in hardware.
            There a row's dream may differ with the batch around it, by rounding; False keeps
            float32, in which that is rare.
        compiles_dreams: Whether passes of a dream are compiled by `torch.compile`; None compiles
            them on CUDA devices. "graphs" lets it record them as CUDA graphs too: a pass is then
            one launch, for a copy of its inputs.
        prepared: What dreams keep between them.
    """

    config: WorldModelConfig
    transformer: Transformer
    uses_autocast: bool
    compiles_dreams: bool | str | None
    prepared: Prepared

    @property
    @abstractmethod
    def device(self) -> torch.device:
        """Where the weights are."""


def dream_network(model: PreparedModule) -> Any:
    """The model itself, or its copy in the precision in which the device dreams fastest.

    The copy is kept until a weight changes: weights in low precision are read in half the time,
    and autocast would convert them at every call.
    """
    dtype = dream_dtype(model)
    weights = [*model.parameters(), *model.buffers()]
    if dtype == weights[0].dtype:
        return model
    made_of = (dtype, model.training, *((w.data_ptr(), w._version) for w in weights))
    prepared = model.prepared
    if prepared.network is None or prepared.made_of != made_of:
        prepared.network = copy.deepcopy(model).requires_grad_(False).to(dtype)
        prepared.made_of = made_of
    # What a user changes of it after training, as `refine_passes`, holds for the copy too.
    prepared.network.config = model.config
    return prepared.network


def dream_dtype(model: PreparedModule) -> torch.dtype:
    """The precision of dreams: that of an autocast around them, or the device's fastest."""
    device, own = model.device, next(model.parameters()).dtype
    if torch.is_autocast_enabled(device.type):
        return torch.get_autocast_dtype(device.type)
    native = native_autocast_dtype(device) if model.uses_autocast else None
    return own if native is None else native


def compiled_pass(
    network: PreparedModule, wanted: bool | str | None
) -> Callable[..., Tensor] | None:
    """The compiled pass through the blocks of a network; None where passes are not compiled.

    Args:
        network: In the precision of the dream.
        wanted: True compiles, on any device; None compiles on CUDA devices; "graphs" records CUDA
            graphs as well.

    Raises:
        ValueError: `wanted` is something else.
    """
    if wanted not in (True, False, None, GRAPHS):
        raise ValueError(
            f"compiles_dreams: expected True, False, None or {GRAPHS!r}, got {wanted!r}"
        )
    if not (network.device.type == "cuda" if wanted is None else wanted):
        return None
    made = network.prepared.compiled
    if wanted not in made:
        # Not `fullgraph`: beyond 8 numbers of dreams (torch's limit) passes then go on uncompiled.
        made[wanted] = torch.compile(
            network.transformer.run_blocks,
            dynamic=False,
            backend=BACKEND,
            options={"triton.cudagraphs": True} if wanted == GRAPHS else None,
        )
    return made[wanted]


def keep_in_place(memory: Memory) -> None:
    """Tells the compiler that a memory's rings stay where they are.

    A CUDA graph may write to tensors of its caller only if these do.
    """
    for ring in memory.rings:
        for tensor in (ring.keys, ring.values):
            torch._dynamo.mark_static_address(tensor, guard=False)


def compile_training(model: PreparedModule, wanted: bool | None) -> None:
    """Compiles what training passes through the transformer, in place.

    The heads stay as they are: how many tokens they look at changes from step to step.

    Args:
        model: On its device or not yet.
        wanted: True compiles, on any device; None compiles where there is a CUDA device.
    """
    if torch.cuda.is_available() if wanted is None else wanted:
        model.transformer.compile(dynamic=False, backend=BACKEND)
