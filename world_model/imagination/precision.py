"""The precision that dreams run in, and what is compiled of dreams and of training.

Dreams are compiled only if one asks for it, by `imaginer.compile = True` or `"graphs"`: on an H200
(torch 2.11, the default design) one dream ran at 118 frames/s uncompiled, 103 compiled and 123 with
CUDA graphs, 64 dreams at 7,400, 6,100 and 7,600, and compiling took six to twenty seconds.
"""

import copy
from collections.abc import Callable

import torch
from torch import Tensor

from worldtokens.common.devices import native_autocast_dtype
from worldtokens.world_model.networks.kv_cache import KVCache
from worldtokens.world_model.networks.network import WorldModelNetwork

BACKEND = "inductor"
GRAPHS = "graphs"


class PreparedNetwork:
    """A copy of a network in low precision, and its compiled pass; kept from dream to dream.

    A copy or a pickle of this starts with nothing prepared.
    """

    def __init__(self) -> None:
        """Starts with nothing prepared."""
        self._network: WorldModelNetwork | None = None
        self._source: tuple = ()
        self._compiled: dict[tuple[int, bool | str | None], Callable[..., Tensor]] = {}

    def __reduce__(self) -> tuple[type, tuple]:
        """Pickles and copies are empty."""
        return PreparedNetwork, ()

    def get(self, network: WorldModelNetwork, uses_autocast: bool) -> WorldModelNetwork:
        """Returns the network, or its copy in the precision in which the device is fastest.

        The copy is kept until a weight changes: weights in low precision are read in half the
        time, and autocast would convert them at every call.
        """
        dtype = imagination_dtype(network, uses_autocast)
        weights = [*network.parameters(), *network.buffers()]
        if dtype == weights[0].dtype:
            return network
        versions = ((weight.data_ptr(), weight._version) for weight in weights)
        source = (dtype, network.training, *versions)
        if self._network is None or self._source != source:
            self._network = copy.deepcopy(network).requires_grad_(False).to(dtype)
            self._source = source
            self._compiled = {}
        # What a user changes of it after training, as `refine_passes`, holds for the copy too.
        self._network.config = network.config
        return self._network

    def compiled_pass(
        self, network: WorldModelNetwork, cache: KVCache, wanted: bool | str | None
    ) -> Callable[..., Tensor] | None:
        """Returns the compiled pass through the blocks; None where passes are not compiled.

        Args:
            network: From `get`.
            cache: That the passes will use.
            wanted: True compiles, on any device; "graphs" records CUDA graphs as well; False and
                None do not compile.

        Raises:
            ValueError: `wanted` is something else.
        """
        if wanted not in (True, False, None, GRAPHS):
            raise ValueError(f"compile: expected True, False, None or {GRAPHS!r}, got {wanted!r}")
        if not wanted:
            return None
        if wanted == GRAPHS:
            _fix_addresses(cache)
        key = (id(network), wanted)
        if key not in self._compiled:
            # Not `fullgraph`: beyond 8 numbers of dreams (torch's limit) passes run uncompiled.
            self._compiled[key] = torch.compile(
                network.transformer.run_blocks,
                dynamic=False,
                backend=BACKEND,
                options={"triton.cudagraphs": True} if wanted == GRAPHS else None,
            )
        return self._compiled[key]


def imagination_dtype(network: WorldModelNetwork, uses_autocast: bool) -> torch.dtype:
    """Returns the precision of dreams: that of an autocast around them, or the device's fastest."""
    device, own = network.device, next(network.parameters()).dtype
    if torch.is_autocast_enabled(device.type):
        return torch.get_autocast_dtype(device.type)
    native = native_autocast_dtype(device) if uses_autocast else None
    return own if native is None else native


def _fix_addresses(cache: KVCache) -> None:
    """Tells the compiler that keys and values stay where they are.

    A CUDA graph may write to tensors of its caller only if these do.
    """
    for layer in cache.layers:
        for tensor in (layer.keys, layer.values):
            torch._dynamo.mark_static_address(tensor, guard=False)


def compile_training(network: WorldModelNetwork, wanted: bool | None) -> None:
    """Compiles what training passes through the transformer, in place.

    The heads stay as they are: how many tokens they look at changes from step to step.

    Args:
        network: On its device or not yet.
        wanted: True compiles, on any device; None compiles where there is a CUDA device.
    """
    if torch.cuda.is_available() if wanted is None else wanted:
        network.transformer.compile(dynamic=False, backend=BACKEND)
