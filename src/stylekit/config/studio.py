"""The settings of `stylekit studio`."""

import ipaddress
from dataclasses import dataclass

from stylekit.config.checks import check_minimum, check_range
from stylekit.errors import ConfigError


@dataclass(frozen=True)
class StudioConfig:
    """Settings of `stylekit studio`.

    Attributes:
        listen: The IP address to listen on. Other machines can connect, unless it is a loopback address.
        port: The port to listen on; 0 selects a free port.
        max_pixels: The largest number of pixels that a photo may have; more are rejected as a decompression bomb.
    """

    listen: str = "127.0.0.1"
    port: int = 0
    max_pixels: int = 200_000_000

    def __post_init__(self) -> None:
        """Check every setting."""
        try:
            ipaddress.ip_address(self.listen)
        except ValueError:
            raise ConfigError(
                f"--listen must be an IP address of this machine, not {self.listen!r}.",
                "Use 0.0.0.0 to listen on all addresses of this machine.",
            ) from None
        check_range("port", self.port, 0, 65_535)
        check_minimum("max_pixels", self.max_pixels, 1)

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach the studio."""
        return ipaddress.ip_address(self.listen).is_loopback
