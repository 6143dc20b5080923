"""One file, one architecture. This room knows torch and itself; nothing of data, budgets or results.

To add one: write its file beside these and import it here.
"""

from bench.architectures import (
    encoder_decoder as encoder_decoder,
)
from bench.architectures import (
    lstm as lstm,
)
from bench.architectures import (
    transformer as transformer,
)
from bench.architectures.base import (
    Architecture as Architecture,
)
from bench.architectures.base import (
    Autoregressive as Autoregressive,
)
from bench.architectures.base import (
    Batch as Batch,
)
from bench.architectures.base import (
    Config as Config,
)
from bench.architectures.base import (
    Loss as Loss,
)
from bench.architectures.base import (
    Preset as Preset,
)
from bench.architectures.base import (
    SequenceSpec as SequenceSpec,
)
from bench.architectures.registry import all_architectures as all_architectures
from bench.architectures.registry import get as get
from bench.architectures.registry import load_plugin as load_plugin
from bench.architectures.registry import register as register
