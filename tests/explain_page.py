"""A page of `explain --html`, and the data in it."""

import base64
import json
import re
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np

DATA = re.compile(r'<script type="application/json" id="data">(.*?)</script>', re.DOTALL)


@dataclass
class Page:
    """A page, the data and arrays in it, and what the command printed to stderr."""

    html: str
    said: str

    @property
    def data(self) -> Any:
        [data] = DATA.findall(self.html)
        return json.loads(data)

    @property
    def arrays(self) -> dict[str, Any]:
        packed = self.data["arrays"]
        content = zlib.decompress(base64.b64decode(packed["data"]))
        return {
            name: np.frombuffer(content, entry["type"], int(np.prod(entry["shape"])), entry["at"]).reshape(
                entry["shape"]
            )
            for name, entry in packed["table"].items()
        }
