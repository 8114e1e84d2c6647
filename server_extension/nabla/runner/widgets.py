"""The state of a notebook's widgets, gathered from comm messages, so that a saved progress bar shows."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

from nabla.runner.wire import Message


class Widgets:
    """What the comm messages of a kernel add up to."""

    def __init__(self) -> None:
        self._models: dict[str, dict[str, Any]] = {}
        self._buffers: dict[str, dict[tuple[str, ...], dict[str, Any]]] = {}

    def take(self, message: Message) -> None:
        """Take a `comm_open` or `comm_msg`."""
        data = message.content.get("data")
        name = str(message.content.get("comm_id", ""))
        if not isinstance(data, dict) or not isinstance(data.get("state"), dict):
            return
        self._models.setdefault(name, {}).update(data["state"])
        for path, buffer in zip(data.get("buffer_paths") or [], message.buffers, strict=False):
            encoded = b64encode(buffer).decode()
            self._buffers.setdefault(name, {})[tuple(map(str, path))] = {
                "encoding": "base64",
                "path": path,
                "data": encoded,
            }

    def state(self) -> dict[str, Any]:
        """Return the models by id, as a notebook's metadata has them; empty when there are none."""
        return {
            name: self._described(name, model)
            for name, model in self._models.items()
            if "_model_name" in model
        }

    def _described(self, name: str, model: dict[str, Any]) -> dict[str, Any]:
        described = {
            "model_name": model["_model_name"],
            "model_module": model.get("_model_module"),
            "model_module_version": model.get("_model_module_version"),
            "state": model,
        }
        if name in self._buffers:
            described["buffers"] = list(self._buffers[name].values())
        return described
