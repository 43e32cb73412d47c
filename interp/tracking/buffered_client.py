"""What MLflow logs image by image and tag by tag, gathered to be logged at once."""

import shutil
from pathlib import Path
from typing import Any

from mlflow import MlflowClient


class Gathering(MlflowClient):  # type: ignore[misc]
    """A client that puts artifacts into a folder and keeps tags, for the caller to log together.

    How images are named and made small is MLflow's own affair, and so it is MLflow that does it;
    left to itself it would commit a tag to the database for each.

    Attributes:
        tags: what would have been tagged, by name.
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
