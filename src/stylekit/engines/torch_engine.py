"""Networks run by torch: on CUDA, MPS or the CPU."""

import numpy as np
import torch

from stylekit.device import memory_errors, select_device
from stylekit.engines import Pictures
from stylekit.networks import build_network
from stylekit.style_file import StyleFile

_OLDEST_FAST_HALF = (7, 0)  # compute capability from which half precision pays


class TorchEngine:
    """Runs a network with torch; see `Engine`.

    On CUDA it computes in half precision where the device is good at it, and goes back to float32 for a network whose
    values leave half precision's range.
    """

    def __init__(self, style: StyleFile, *, device: str, threads: int | None) -> None:
        if threads is not None:
            torch.set_num_threads(threads)
        self.device = select_device(device)
        network = build_network(style.metadata.network, style.metadata.network_config)
        weights = {name: torch.from_numpy(array.astype(np.float32)) for name, array in style.weights.items()}
        network.load_state_dict(weights, assign=True)
        network.requires_grad_(False).eval()
        # On a CPU, oneDNN's blocked layouts are faster than channels-last.
        self._layout = torch.contiguous_format if self.device == "cpu" else torch.channels_last
        with memory_errors(self.device, "Free its memory, or use --device cpu."):
            self._network = network.to(self.device, memory_format=self._layout)  # type: ignore[call-overload]
        self._half = (
            self.device.startswith("cuda") and torch.cuda.get_device_capability(self.device) >= _OLDEST_FAST_HALF
        )

    @torch.inference_mode()
    def run(self, pictures: Pictures) -> Pictures:
        """See `Engine.run`."""
        with memory_errors(self.device, "Use --max-size 1000, a larger --stroke-size, or another --device."):
            batch = (
                torch.from_numpy(pictures).to(self.device).permute(0, 3, 1, 2).contiguous(memory_format=self._layout)
            )
            out = self._forward(batch)
            if self._half and not out.isfinite().all():
                self._half = False
                out = self._forward(batch)
            result: Pictures = out.permute(0, 2, 3, 1).float().cpu().numpy()
            return result

    def _forward(self, batch: torch.Tensor) -> torch.Tensor:
        with torch.autocast(self.device.partition(":")[0], torch.float16, enabled=self._half):
            out: torch.Tensor = self._network(batch)
            return out
