"""An MLflow client that collects artifacts and tags, so that they are logged in one call."""

import shutil
from pathlib import Path
from typing import Any

from mlflow import MlflowClient


class BufferedClient(MlflowClient):  # type: ignore[misc]
    """A client that moves artifacts into a folder and keeps tags, for the caller to log together.

    MLflow's own `log_image` decides how images are named and compressed. Unbuffered, it would
    commit one tag per image to the database.

    Attributes:
        tags: the tags that were set, by name.
    """

    def __init__(self, tracking_uri: str, folder: Path) -> None:
        super().__init__(tracking_uri=tracking_uri)
        self._folder = folder
        self.tags: dict[str, str] = {}

    def set_tag(self, run_id: str, key: str, value: Any, synchronous: bool | None = None) -> None:
        """Keep the tag."""
        self.tags[key] = str(value)

    def log_artifact(self, run_id: str, local_path: str, artifact_path: str | None = None) -> None:
        """Move the file into the folder."""
        target = self._folder / (artifact_path or "")
        target.mkdir(parents=True, exist_ok=True)
        shutil.move(local_path, target)
