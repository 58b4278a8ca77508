"""What weatherglass's door is held against: FastAPI, uvicorn and redis-py, written with care.

Reads the same bodies (a JSON object, or one a line), refuses what is impossible item by item,
and answers once Redis has what was accepted. Observations go into one stream in one pipeline.
"""

import argparse
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import msgpack
import redis.asyncio
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

try:
    from orjson import loads
except ImportError:
    from json import loads

STREAM = "obs"

# The physically possible, by name.
BOUNDS: dict[str, tuple[float, float]] = {
    "temperature": (-90.0, 65.0),
    "dew_point": (-110.0, 40.0),
    "relative_humidity": (0.0, 110.0),
    "pressure_msl": (850.0, 1100.0),
    "pressure_station": (400.0, 1100.0),
    "wind_speed": (0.0, 120.0),
    "wind_direction": (0.0, 360.0),
    "wind_gust": (0.0, 150.0),
    "precipitation": (0.0, 500.0),
    "precipitation_period": (60.0, 86400.0),
    "solar_radiation": (0.0, 1600.0),
    "cloud_cover": (0.0, 100.0),
    "visibility": (0.0, 100000.0),
    "present_weather": (0.0, 99.0),
}
RETENTION = 96 * 3600
FUTURE = 300


class Refused(ValueError):
    """An item that can't be taken: its field and why."""


def observation(item: Any, now: float) -> dict[str, Any]:
    """The item with its time in seconds, or Refused."""
    if not isinstance(item, dict):
        raise Refused("item", "wrong_type")
    checked: dict[str, Any] = {}
    for name, value in item.items():
        bounds = BOUNDS.get(name)
        if bounds is not None:
            if not isinstance(value, (int, float)) or not bounds[0] <= value <= bounds[1]:
                raise Refused(name, "out_of_range")
        elif name == "time":
            try:
                value = int(datetime.fromisoformat(value).timestamp())
            except (TypeError, ValueError):
                raise Refused("time", "bad_time") from None
            if not now - RETENTION <= value <= now + FUTURE:
                raise Refused("time", "past_retention")
        elif name not in ("station", "source") or not isinstance(value, str):
            raise Refused(name, "unknown_field")
        checked[name] = value
    if "station" not in checked or "time" not in checked:
        raise Refused("station", "missing_field")
    return checked


def door(client: redis.asyncio.Redis) -> FastAPI:
    """The application."""

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        yield
        await client.aclose()

    app = FastAPI(lifespan=life)

    @app.post("/v1/observations", status_code=202)
    async def post(request: Request) -> JSONResponse:
        body = await request.body()
        lines = body.split(b"\n") if "ndjson" in request.headers["content-type"] else [body]
        now = time.time()
        rejected: list[dict[str, Any]] = []
        accepted = 0
        async with client.pipeline(transaction=False) as pipe:
            for index, line in enumerate(line for line in lines if line):
                try:
                    item = observation(loads(line), now)
                except Refused as refused:
                    rejected.append({"index": index, "field": refused.args[0], "reason": refused.args[1]})
                    continue
                except ValueError:
                    rejected.append({"index": index, "field": "item", "reason": "unparseable"})
                    continue
                pipe.xadd(STREAM, {"v": msgpack.packb({"v": (1, 0), "received": int(now * 1000), "observation": item})})
                accepted += 1
            if accepted:
                await pipe.execute()
        return JSONResponse({"accepted": accepted, "duplicates": 0, "rejected": rejected}, status_code=202)

    return app


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--redis-port", type=int, required=True)
    arguments = parser.parse_args()
    client = redis.asyncio.Redis(port=arguments.redis_port)
    uvicorn.run(door(client), host="127.0.0.1", port=arguments.port, log_level="error", access_log=False)


if __name__ == "__main__":
    main()
