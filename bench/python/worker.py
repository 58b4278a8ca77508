"""What weatherglass's worker is held against: redis-py and PyTorch on one thread, written with care.

Reads the stream that ingest.py writes as a consumer group, keeps each station's window, runs a
mixer of about 180 000 parameters on all stations of a batch at once, and publishes the quantiles
before it acknowledges. Prints a line of JSON after every batch: what computes, and how many
observations it has done.
"""

import argparse
import json
import sys
from collections.abc import Callable

import msgpack
import numpy as np
import redis

try:
    import torch
except ImportError:
    torch = None

STREAM, GROUP, OUT, LATEST = "obs", "forecast", "forecasts", "latest"
BATCH = 256
HOURS, CHANNELS, LEADS, QUANTITIES, LEVELS = 72, 10, 48, 6, 7
WIDTH, BLOCKS = 96, 4
NAMES = (
    "temperature",
    "dew_point",
    "relative_humidity",
    "pressure_msl",
    "wind_speed",
    "wind_gust",
    "wind_direction",
    "precipitation",
    "solar_radiation",
    "cloud_cover",
)
OUTPUTS = QUANTITIES * LEVELS
Model = Callable[[np.ndarray], np.ndarray]


def torch_mixer() -> Model:
    """Mixes hours, then channels, in four blocks (Chen et al. 2023, TSMixer)."""
    torch.set_num_threads(1)
    torch.manual_seed(1)
    nn = torch.nn

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.before, self.between = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
            self.hours = nn.Linear(HOURS, HOURS)
            self.channels = nn.Sequential(nn.Linear(WIDTH, 2 * WIDTH), nn.ReLU(), nn.Linear(2 * WIDTH, WIDTH))

        def forward(self, x: "torch.Tensor") -> "torch.Tensor":
            x = x + torch.relu(self.hours(self.before(x).transpose(1, 2))).transpose(1, 2)
            return x + self.channels(self.between(x))

    class Mixer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.widen = nn.Linear(CHANNELS, WIDTH)
            self.blocks = nn.Sequential(*(Block() for _ in range(BLOCKS)))
            self.leads = nn.Linear(HOURS, LEADS)
            self.out = nn.Linear(WIDTH, OUTPUTS)

        def forward(self, x: "torch.Tensor") -> "torch.Tensor":
            x = self.blocks(self.widen(x))
            return self.out(self.leads(x.transpose(1, 2)).transpose(1, 2))

    mixer = Mixer().eval()

    def model(windows: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return mixer(torch.from_numpy(windows)).numpy()

    return model


def numpy_mixer() -> Model:
    """The same sizes in numpy, where there is no PyTorch."""
    random = np.random.default_rng(1)

    def weights(*shape: int) -> np.ndarray:
        return (random.standard_normal(shape) / np.sqrt(shape[0])).astype(np.float32)

    def norm(x: np.ndarray) -> np.ndarray:
        return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)

    widen, leads, out = weights(CHANNELS, WIDTH), weights(LEADS, HOURS), weights(WIDTH, OUTPUTS)
    blocks = [(weights(HOURS, HOURS), weights(WIDTH, 2 * WIDTH), weights(2 * WIDTH, WIDTH)) for _ in range(BLOCKS)]

    def model(windows: np.ndarray) -> np.ndarray:
        x = windows @ widen
        for hours, up, down in blocks:
            x = x + np.maximum(hours @ norm(x), 0)
            x = x + np.maximum(norm(x) @ up, 0) @ down
        return (leads @ x) @ out

    return model


def shift(window: np.ndarray, values: dict[str, float]) -> None:
    """Puts an observation at the window's end; what was not measured stays as it was."""
    window[:-1] = window[1:]
    for channel, name in enumerate(NAMES):
        value = values.get(name)
        if value is not None:
            window[-1, channel] = value


def work(client: redis.Redis, model: Model, engine: str) -> None:
    """Batch after batch."""
    try:
        client.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
    except redis.ResponseError:
        pass
    windows: dict[str, np.ndarray] = {}
    processed = 0
    while True:
        reply = client.xreadgroup(GROUP, "python", {STREAM: ">"}, count=BATCH, block=500)
        if not reply:
            continue
        entries = reply[0][1]
        touched: dict[str, tuple[bytes, int]] = {}
        for entry, fields in entries:
            observation = msgpack.unpackb(fields[b"v"])["observation"]
            station = observation["station"]
            if station not in windows:
                windows[station] = np.zeros((HOURS, CHANNELS), np.float32)
            shift(windows[station], observation)
            touched[station] = (entry, observation["time"])
        rows = np.stack([windows[station] for station in touched])
        quantiles = np.sort(model(rows).reshape(-1, LEADS, QUANTITIES, LEVELS), axis=-1)
        packed = np.clip(np.rint(quantiles * 100), -32768, 32767).astype("<i2")
        pipe = client.pipeline(transaction=True)
        for (station, (cause, time)), numbers in zip(touched.items(), packed, strict=True):
            forecast = {"v": (1, 0), "station": station, "reference_time": time, "cause": cause, "data": numbers.tobytes()}
            data = msgpack.packb(forecast)
            pipe.xadd(OUT, {"v": data})
            pipe.hset(LATEST, station, data)
        pipe.xack(STREAM, GROUP, *(entry for entry, _ in entries))
        pipe.execute()
        processed += len(entries)
        print(json.dumps({"engine": engine, "processed": processed}), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--redis-port", type=int, required=True)
    arguments = parser.parse_args()
    client = redis.Redis(port=arguments.redis_port)
    if torch is None:
        print("PyTorch is not installed: numpy computes the mixer instead", file=sys.stderr)
        work(client, numpy_mixer(), "numpy")
    else:
        work(client, torch_mixer(), f"PyTorch {torch.__version__.split('+')[0]}")


if __name__ == "__main__":
    main()
