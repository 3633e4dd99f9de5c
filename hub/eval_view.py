"""A module in eval mode that shares the weights of one in train mode."""

from typing import TypeVar

from torch import nn

Module = TypeVar("Module", bound=nn.Module)


def eval_view(module: Module) -> Module:
    """Returns a module in eval mode with the same weights; `module` itself if it is in eval mode.

    To switch the mode of a shared module, even for a moment, changes what other threads compute
    with it: a quantizer in train mode moves its codes.
    """
    return module if not any(part.training for part in module.modules()) else _copy(module)


def _copy(module: Module) -> Module:
    view = object.__new__(type(module))
    view.__dict__ = {**module.__dict__, "training": False}
    view.__dict__["_modules"] = {
        name: None if part is None else _copy(part) for name, part in module._modules.items()
    }
    return view
