"""A data set read as the configuration says."""

from __future__ import annotations

from pathlib import Path

from sam2_adapter.config import Config
from sam2_adapter.formats.load import DataFormat, Dataset, load_dataset


def load_configured_dataset(path: str | Path, config: Config, data_format: DataFormat | None = None) -> Dataset:
    """Read a data set with the settings that training and evaluation share, so that both make the same splits.

    Args:
        path: as in `load_dataset`.
        config: all settings.
        data_format: as in `load_dataset`.

    Raises:
        DataError: as in `load_dataset`.
    """
    return load_dataset(
        path,
        data_format,
        min_area_px=config.min_area_px,
        validation_share=config.validation_share,
        seed=config.seed,
        include_model_annotations=config.include_model_annotations,
    )
