"""A convolution, its batch norm and perhaps a ReLU: what CPN and MSPN are built of."""

from torch import Tensor, nn
from torch.nn import functional

from evopose.models.resnet import Norm


class ConvNorm(nn.Module):
    """A square convolution with 'same' padding, batch norm, and ReLU unless `relu` is False."""

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        kernel: int | tuple[int, int] = 1,
        *,
        stride: int = 1,
        relu: bool = True,
        bias: bool = False,
        norm: Norm = nn.BatchNorm2d,
    ) -> None:
        super().__init__()
        sides = (kernel, kernel) if isinstance(kernel, int) else kernel
        padding = (sides[0] // 2, sides[1] // 2)
        self.conv = nn.Conv2d(channels_in, channels_out, sides, stride, padding, bias=bias)
        self.bn = norm(channels_out)
        self.relu = relu

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, channels_out, H / stride, W / stride) for x (N, channels_in, H, W)."""
        y: Tensor = self.bn(self.conv(x))
        return functional.relu(y) if self.relu else y
